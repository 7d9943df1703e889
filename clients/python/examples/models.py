"""Load a model beside the others, list them, watch it go. Needs a server: corral serve"""

from corral import Client, LoadProgress, LoadStage, ModelState


def show(progress: LoadProgress) -> None:
    print(f"{LoadStage.Name(progress.stage)} {progress.fraction:.0%}")


with Client() as client:
    client.models.load("second", "demo", slots=2, aliases=["spare"], on_progress=show)
    for model in client.models.list():
        mark = "*" if model.is_default else " "
        print(mark, model.id, ModelState.Name(model.state), model.facts.context_size)

    with client.models.watch() as changes:
        print("watching", *(model.id for model in next(changes).snapshot.models))
        client.models.unload("second")
        for change in changes:
            if change.changed.id == "second":
                print("second", ModelState.Name(change.changed.state))
            if change.removed.id == "second":
                print("second removed")
                break

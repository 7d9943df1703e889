"""Load a model beside the others, list them, watch it go. Needs a server: corral serve"""

from corral import Client, CorralError, LoadProgress, LoadStage, ModelState


def show(progress: LoadProgress) -> None:
    print(f"  {LoadStage.Name(progress.stage)} {progress.fraction:.0%}")


with Client() as client:
    try:
        client.models.load("second", "demo", slots=2, aliases=["spare"], on_progress=show)
        for model in client.models.list():
            mark = "*" if model.is_default else " "
            print(mark, model.id, ModelState.Name(model.state), model.facts.context_size)
        print("spare is", client.models.resolve("spare").model.id)

        with client.models.watch() as changes:
            print("there are", [model.id for model in next(changes).snapshot.models])
            client.models.unload("second")
            for change in changes:
                if change.HasField("changed"):
                    print(change.changed.id, "is", ModelState.Name(change.changed.state))
                if change.removed.id == "second":
                    break
        print("second is gone")
    except CorralError as error:
        print(error.reason, error)

"""Load a model beside the others, list them all, unload it. Needs a server: corral serve"""

from corral import Client, CorralError, LoadProgress, LoadStage, ModelState


def show(progress: LoadProgress) -> None:
    print(f"  {LoadStage.Name(progress.stage)} {progress.fraction:.0%}")


with Client() as client:
    try:
        client.models.load("second", "demo", slots=2, on_progress=show)
        for model in client.models.list():
            mark = "*" if model.is_default else " "
            print(mark, model.id, ModelState.Name(model.state), model.facts.context_size)
        print("still there:", client.models.unload("second"))
    except CorralError as error:
        print(error.reason, error)

// Load a model beside the others, list them, watch it go.

import static java.util.stream.Collectors.joining;

import dev.corral.Corral;
import dev.corral.v1.DemoSource;
import dev.corral.v1.LoadModelRequest;
import dev.corral.v1.LoadOptions;
import dev.corral.v1.Model;
import dev.corral.v1.ModelSource;
import dev.corral.v1.UnloadModelRequest;
import dev.corral.v1.WatchModelsRequest;

class models {
    public static void main(String[] arguments) {
        var load = LoadModelRequest.newBuilder()
            .setId("second")
            .setSource(ModelSource.newBuilder().setDemo(DemoSource.getDefaultInstance()))
            .setOptions(LoadOptions.newBuilder().setSlots(2))
            .addAliases("spare")
            .build();
        var unload = UnloadModelRequest.newBuilder().setId("second").build();
        try (var client = Corral.connect();
                var changes = client.watch(WatchModelsRequest.getDefaultInstance())) {
            client.load(load, progress -> System.out.printf(
                "%s %.0f%%%n", progress.getStage(), 100 * progress.getFraction()));

            for (var model : client.list().getModelsList()) {
                System.out.printf("%s %s %s %d%n", model.getIsDefault() ? "*" : " ",
                    model.getId(), model.getState(), model.getFacts().getContextSize());
            }

            for (var change : changes) {
                if (change.hasSnapshot()) {
                    System.out.println("watching " + change.getSnapshot().getModelsList().stream()
                        .map(Model::getId).collect(joining(" ")));
                    client.unload(unload);
                } else if (change.getChanged().getId().equals("second")) {
                    System.out.println("second " + change.getChanged().getState());
                } else if (change.getRemoved().getId().equals("second")) {
                    System.out.println("second removed");
                    break;
                }
            }
        }
    }
}

//! Load a model beside the others, list them, watch it go. Needs a server: corral serve

use corral_client::v1::{
    DemoSource, ListModelsRequest, LoadModelRequest, LoadOptions, ModelSource, UnloadModelRequest,
    WatchModelsRequest, load_model_response, model_source::Source, watch_models_response::Event,
};
use corral_client::{Client, Options, StreamExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(Options::default())?;
    let mut load = client
        .load_model(LoadModelRequest {
            id: "second".into(),
            source: Some(ModelSource { source: Some(Source::Demo(DemoSource {})) }),
            options: Some(LoadOptions { slots: Some(2), ..Default::default() }),
            aliases: vec!["spare".into()],
            ..Default::default()
        })
        .await?;
    while let Some(event) = load.next().await {
        if let load_model_response::Event::Progress(step) = event? {
            println!("{} {:.0}%", step.stage().as_str_name(), step.fraction * 100.0);
        }
    }
    for model in client.list_models(ListModelsRequest {}).await?.models {
        let mark = if model.is_default { "*" } else { " " };
        let context = model.facts.as_ref().map_or(0, |facts| facts.context_size);
        println!("{mark} {} {} {context}", model.id, model.state().as_str_name());
    }

    let mut changes = client.watch_models(WatchModelsRequest::default()).await?;
    while let Some(change) = changes.next().await {
        match change?.event {
            Some(Event::Snapshot(all)) => {
                let ids: Vec<_> = all.models.into_iter().map(|model| model.id).collect();
                println!("watching {}", ids.join(" "));
                let request = UnloadModelRequest { id: "second".into(), ..Default::default() };
                client.unload_model(request).await?;
            }
            Some(Event::Changed(model)) => println!("{} {}", model.id, model.state().as_str_name()),
            Some(Event::Removed(model)) => {
                println!("{} removed", model.id);
                break;
            }
            _ => {}
        }
    }
    Ok(())
}

//! Find which of five sentences is nearest to a question. Needs a server: corral serve

use corral_client::v1::{
    Capability, DemoSource, EmbedInput, EmbedRequest, LoadModelRequest, ModelSource,
    UnloadModelRequest, embed_input::Input, model_source::Source,
};
use corral_client::{Client, Options, StreamExt};

const QUESTION: &str = "A dog sleeps on the warm stones.";
const SENTENCES: [&str; 5] = [
    "The restaurant opens at noon.",
    "The train to Rome leaves at nine.",
    "A cat sleeps on the warm stones.",
    "Integers are closed under addition.",
    "It will rain in the afternoon.",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(Options::default())?;
    let mut load = client
        .load_model(LoadModelRequest {
            id: "embedder".into(),
            source: Some(ModelSource { source: Some(Source::Demo(DemoSource {})) }),
            capabilities: vec![Capability::Embed.into()],
            ..Default::default()
        })
        .await?;
    while let Some(step) = load.next().await {
        step?;
    }
    let texts = [QUESTION].into_iter().chain(SENTENCES);
    let inputs = texts.map(|text| EmbedInput { input: Some(Input::Text(text.into())) }).collect();
    let request = EmbedRequest { model: "embedder".into(), inputs, ..Default::default() };
    let embeddings = client.embed(request).await?.embeddings;
    client.unload_model(UnloadModelRequest { id: "embedder".into(), ..Default::default() }).await?;

    // Vectors have length 1: the sum of products is the cosine of the angle between two.
    let question = &embeddings[0].values;
    let likeness = embeddings[1..].iter().map(|sentence| -> f32 {
        question.iter().zip(&sentence.values).map(|(one, other)| one * other).sum()
    });
    let mut ranked: Vec<_> = likeness.zip(SENTENCES).collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    println!("{QUESTION}");
    for (number, sentence) in ranked {
        println!("{number:.2} {sentence}");
    }
    Ok(())
}

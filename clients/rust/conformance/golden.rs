//! The bytes of all versions: each file is one message, named after it.

use std::{fs, path::Path};

use corral_client::v1;
use prost::Message;

use crate::{Outcome, expect};

const AT_LEAST: usize = 60;

pub fn check(folder: &Path) -> Outcome {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "binpb") {
            continue;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = file.split('.').nth(2).unwrap_or_default();
        let kept = fs::read(&path)?;
        let written = reserialise(name, &kept).map_err(|why| format!("{file}: {why}"))?;
        expect!(written == kept, "{file} is written otherwise");
        count += 1;
    }
    expect!(count >= AT_LEAST, "only {count} files");
    Ok(format!("{count} files"))
}

/// What the message `name` in these bytes is written as.
macro_rules! messages {
    ($($name:ident)+) => {
        fn reserialise(name: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
            match name {
                $(stringify!($name) => v1::$name::decode(bytes)
                    .map(|message| message.encode_to_vec())
                    .map_err(|error| error.to_string()),)+
                _ => Err("a message this program does not know".into()),
            }
        }
    };
}

messages! {
    ChatRequest ChatResponse ChatStreamRequest ChatStreamResponse Conversation
    CountTokensRequest CountTokensResponse DefaultChanged Delta DemoSource DetokenizeRequest
    DetokenizeResponse DeviceFootprint DeviceMemory EmbedInput EmbedRequest EmbedResponse
    EmbedStreamRequest EmbedStreamResponse Embedding Finished GenerateRequest
    GenerateResponse GenerateStreamRequest GenerateStreamResponse GetDefaultModelRequest
    GetDefaultModelResponse GetLoadRequest GetLoadResponse GetMemoryRequest GetMemoryResponse
    GetModelRequest GetModelResponse GetServerInfoRequest GetServerInfoResponse HubFile
    HubRepo HubSource ListHubFilesRequest ListHubFilesResponse ListModelsRequest
    ListModelsResponse LoadModelRequest LoadModelResponse LoadOptions LoadProgress
    LoraAdapter Message Model ModelError ModelFacts ModelLoad ModelMemory ModelProgress
    ModelRemoved ModelSource ModelsSnapshot OutputOptions PredictMemoryRequest
    PredictMemoryResponse PullModelRequest PullModelResponse PullProgress PulledModel
    ResolveModelRequest ResolveModelResponse RopeScaling SamplingParams SearchHubRequest
    SearchHubResponse SetDefaultModelRequest SetDefaultModelResponse Started StopParams
    Timings Token TokenIds TokenizeRequest TokenizeResponse Tool ToolCall UnloadModelRequest
    UnloadModelResponse Usage WatchModelsRequest WatchModelsResponse
}

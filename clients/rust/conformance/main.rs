//! Performs the cases of ../conformance/CASES.md, or, started with `overhead`, measures the wrapper.

mod cases;
mod client;
mod golden;
mod overhead;
mod report;

use std::{env, error::Error, time::Duration};

use report::Report;
use tokio::time::timeout;

/// No case may take longer.
const CASE_TIMEOUT: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;
type Outcome = Result<String, Failure>;

/// Ends a case whose expectation is not met.
#[macro_export]
macro_rules! expect {
    ($met:expr, $($why:tt)+) => {
        match $met {
            true => {}
            false => return Err(format!($($why)+).into()),
        }
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut report = Report::open()?;
    if env::args().nth(1).as_deref() == Some("overhead") {
        return report.write(&overhead::measure().await?);
    }
    macro_rules! run {
        ($($case:ident)+) => {
            $(let outcome = timeout(CASE_TIMEOUT, tokio::spawn(cases::$case())).await;
            let outcome = match outcome {
                Ok(ended) => ended.unwrap_or_else(|panic| Err(panic.into())),
                Err(_) => Err("it hangs".into()),
            };
            report.write_case(stringify!($case), outcome)?;)+
        };
    }
    run! {
        generate generate_stream chat chat_stream tokenize embed embed_stream_1000
        utf8_split_over_tokens cancel_mid_stream deadline prompt_of_one_megabyte
        error_invalid_field error_model_not_found error_capability_not_supported
        error_load_conflict error_model_file_not_found error_queue_full unknown_enum_value
        unknown_oneof_arm retry_honours_retry_info no_retry_where_unsafe tls_and_token
        token_refused model_lifecycle golden_bytes
    }
    Ok(())
}

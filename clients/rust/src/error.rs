//! What a failed call returns, read from the details of its status.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::v1::ErrorReason;

pub type Result<T> = std::result::Result<T, Box<Error>>;

/// A call failed.
#[derive(Debug, Clone)]
pub struct Error {
    pub code: Code,
    pub message: String,
    /// The name in [`ErrorReason`] without its prefix; empty if the server gave none.
    pub reason: String,
    /// The numbers and names behind the message; `request_id` finds the call in the server's log.
    pub metadata: HashMap<String, String>,
    /// Every bad field of the request.
    pub violations: Vec<FieldViolation>,
    /// What was not found.
    pub resource: String,
    /// When to come back; `None` where the server does not say.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// The reason to match on; `Unspecified` if there is none, or one newer than this client.
    pub fn kind(&self) -> ErrorReason {
        ErrorReason::from_str_name(&format!("ERROR_REASON_{}", self.reason)).unwrap_or_default()
    }
}

impl From<Status> for Box<Error> {
    fn from(status: Status) -> Self {
        let mut details = status.get_error_details();
        if details.error_info().is_none_or(|info| info.domain != "corral") {
            details = ErrorDetails::new();
        }
        let info = details.error_info();
        Box::new(Error {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.map_or(String::new(), |info| info.reason.clone()),
            metadata: info.map_or(HashMap::new(), |info| info.metadata.clone()),
            violations: details.bad_request().map_or(vec![], |bad| bad.field_violations.clone()),
            resource: details
                .resource_info()
                .map(|of| of.resource_name.clone())
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

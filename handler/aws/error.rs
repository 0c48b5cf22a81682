//! From an SDK's error to AWS's code and message. The core interprets them.

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tower_forge_core::error::{Error, Result, ServiceError, causes};

/// Names the call that an SDK error came from.
pub(crate) trait Context<T> {
    /// Turns the SDK's error into [`Error::Call`] on `name`.
    fn on(self, action: &'static str, name: &str) -> Result<T>;
}

impl<T, E> Context<T> for std::result::Result<T, E>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn on(self, action: &'static str, name: &str) -> Result<T> {
        self.map_err(|err| {
            let source = ServiceError {
                code: err.code().unwrap_or_default().to_owned(),
                message: err.message().map_or_else(|| causes(&err), str::to_owned),
                request_id: err.meta().extra("aws_request_id").map(str::to_owned),
            };
            Error::Call { action, name: name.to_owned(), source }
        })
    }
}

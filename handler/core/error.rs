//! Errors, and the meaning of AWS error codes and messages.
//!
//! AWS services report the same problem differently: Batch returns `ClientException` with a sentence for nearly
//! everything, IAM has specific codes. [`ServiceError`] keeps code and message, and its predicates are the only table
//! of their meaning. Messages are matched no more closely than necessary.

use crate::table::TableError;
use std::fmt::{self, Write as _};

/// An error of an operation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong; nothing was called. Each line names a property.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// AWS refused a call.
    #[error("{action} {name}")]
    Call {
        /// The operation as IAM spells it, e.g. `batch:DeleteJobQueue`.
        action: &'static str,
        /// The resource.
        name: String,
        /// AWS's error.
        source: ServiceError,
    },
    /// A resource is in a state that it will not leave by itself.
    #[error("{resource} is broken: {reason}")]
    Broken {
        /// The resource.
        resource: String,
        /// AWS's reason.
        reason: String,
    },
    /// A resource of the desired name exists and belongs to another owner.
    #[error("{resource} exists and belongs to {owner}; it was not changed")]
    NotOurs {
        /// The resource.
        resource: String,
        /// Its owner, as its tags say.
        owner: String,
    },
    /// A fault of this function, not of the stack or of AWS.
    #[error("a bug in this function: {0}")]
    Bug(String),
    /// The change is not possible in the current state; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A step succeeds and the same step is needed again.
    #[error("{0} does not converge: AWS accepts the change and still shows the old state")]
    NotConverging(String),
    /// The claim table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Time ran out.
    #[error("time ran out while waiting for {}", .0.join("; "))]
    TimedOut(Vec<String>),
    /// Several independent failures.
    #[error("{}", .0.iter().map(chain).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
}

/// An AWS error, without the types of its operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}", .code, if .code.is_empty() || .message.is_empty() { "" } else { ": " }, .message)]
pub struct ServiceError {
    /// AWS's error code; empty without a response.
    pub code: String,
    /// AWS's message, or the reason for a missing response.
    pub message: String,
    /// AWS's request ID, for AWS support.
    pub request_id: Option<String>,
}

/// The result of functions that call AWS.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The AWS error, if it is one.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Call { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the resource does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        self.service().is_some_and(ServiceError::is_not_found)
    }

    /// One error for all of `errors`, which must not be empty.
    pub fn all(mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 { errors.remove(0) } else { Self::Several(errors) }
    }

    /// The code at the start of a Reason, as CloudFormation's resource providers use it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "InvalidRequest",
            Self::NotOurs { .. } => "AlreadyExists",
            Self::Refused(_) => "NotUpdatable",
            Self::Bug(_) => "InternalFailure",
            Self::Table(TableError::Denied(_)) => "AccessDenied",
            Self::Table(_) => "ServiceInternalError",
            Self::Broken { .. } | Self::NotConverging(_) | Self::TimedOut(_) => "NotStabilized",
            Self::Several(errors) => errors.first().map_or("GeneralServiceException", Self::code),
            Self::Call { source, .. } if source.is_denied() => "AccessDenied",
            Self::Call { source, .. } if source.is_throttled() => "Throttling",
            Self::Call { source, .. } if source.is_quota() => "ServiceLimitExceeded",
            Self::Call { source, .. } if source.code.is_empty() => "NetworkFailure",
            Self::Call { source, .. } if source.is_failure() => "ServiceInternalError",
            Self::Call { .. } => "GeneralServiceException",
        }
    }

    /// Advice for users.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "correct the properties and deploy again",
            Self::NotOurs { .. } => "choose another ForgeId, or remove that resource",
            Self::Refused(_) | Self::NotConverging(_) => "",
            Self::Bug(_) => "report it with the function's log",
            Self::Table(TableError::Denied(_)) => {
                "allow this action in the function's role (policies/forge-policy.json)"
            }
            Self::Table(TableError::Gone(_)) => "redeploy the tower-forge stack, then deploy again",
            Self::Table(TableError::Unreachable(_)) => {
                "deploy again; if it persists, check the table and the function's rights on it"
            }
            Self::Broken { .. } => "fix the problem that AWS reports, then deploy again",
            Self::Several(errors) => errors.first().map_or("", Self::advice),
            Self::Call { source, .. } if source.is_denied() => {
                "allow this action in the function's role (policies/forge-policy.json)"
            }
            Self::Call { source, .. } if source.is_quota() => "delete unused resources or raise the quota",
            Self::TimedOut(_) | Self::Call { .. } => {
                "deploy or delete again; the work resumes where it stopped"
            }
        }
    }
}

impl ServiceError {
    fn says(&self, text: &str) -> bool {
        self.message.contains(text)
    }

    /// The resource does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NoSuchEntity"
                | "NoSuchEntityException"
                | "FileSystemNotFound"
                | "MountTargetNotFound"
                | "ResourceNotFoundException"
                | "InvalidAMIID.NotFound"
                | "InvalidLaunchTemplateId.NotFound"
                | "InvalidLaunchTemplateName.NotFoundException"
        ) || self.code == "ClientException" && self.says("does not exist")
    }

    /// A resource of that name exists already.
    pub fn is_taken(&self) -> bool {
        matches!(
            self.code.as_str(),
            "EntityAlreadyExists"
                | "EntityAlreadyExistsException"
                | "InvalidLaunchTemplateName.AlreadyExistsException"
                | "FileSystemAlreadyExists"
                | "ResourceAlreadyExistsException"
                | "MountTargetConflict"
        ) || self.message.to_ascii_lowercase().contains("already exists")
    }

    /// The caller is not authorized.
    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
    }

    /// Too many calls.
    pub fn is_throttled(&self) -> bool {
        matches!(
            self.code.as_str(),
            "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "PriorRequestNotComplete"
                | "SlowDown"
        )
    }

    /// The service failed, or there was no response; the result of the call is unknown.
    pub fn is_failure(&self) -> bool {
        matches!(
            self.code.as_str(),
            "" | "ServerException"
                | "ServiceFailure"
                | "ServiceFailureException"
                | "InternalError"
                | "InternalFailure"
                | "InternalServerError"
                | "InternalServerException"
                | "ServiceException"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "Unavailable"
                | "RequestTimeout"
                | "RequestTimeoutException"
        )
    }

    /// A quota is used up.
    pub fn is_quota(&self) -> bool {
        matches!(self.code.as_str(), "LimitExceeded" | "LimitExceededException" | "FileSystemLimitExceeded")
            || self.says("limit exceeded")
            || self.says("quota")
    }

    /// Whether its cause may be a resource that was not observed yet: something still uses the resource to delete.
    pub fn has_unseen_cause(&self) -> bool {
        matches!(self.code.as_str(), "DeleteConflict" | "DeleteConflictException")
            || self.says("found existing JobQueue relationship")
    }

    /// The reason of a transient refusal; the caller limits how long it tolerates it.
    ///
    /// Batch refuses changes of a resource in transition, and deletions of an environment that a queue still
    /// references; IAM is eventually consistent; EFS has its own order of deletions.
    pub fn transient(&self) -> Option<&'static str> {
        let texts = [
            ("is being modified", "it is being modified"),
            ("found existing JobQueue relationship", "a job queue still refers to it"),
            ("created and valid before attaching", "its environments are not valid yet"),
            ("must be valid before attaching", "its environments are not valid yet"),
            ("desiredvCpus should be between", "jobs use more vCPUs than the limit that was to be set"),
        ];
        if let Some((_, why)) = texts.iter().find(|(text, _)| self.says(text)) {
            return Some(why);
        }
        if self.is_throttled() {
            return Some("the call was throttled");
        }
        if self.is_failure() {
            return Some("the service does not answer");
        }
        match self.code.as_str() {
            "ConcurrentModification" | "ConcurrentModificationException" => {
                Some("another change is in progress")
            }
            "EntityTemporarilyUnmodifiable" | "EntityTemporarilyUnmodifiableException" => {
                Some("it cannot be changed yet")
            }
            "DeleteConflict" | "DeleteConflictException" => Some("something is still attached to it"),
            "NoSuchEntity" | "NoSuchEntityException" => Some("it has not propagated in IAM yet"),
            "IncorrectMountTargetState" => Some("a mount target is not available yet"),
            "IncorrectFileSystemLifeCycleState" => Some("the file system is not available yet"),
            "FileSystemInUse" => Some("its mount targets are still there"),
            "DependencyTimeout" | "OperationAbortedException" => Some("AWS asks for a retry"),
            _ => None,
        }
    }
}

/// The error and all its causes on one line.
pub fn chain(err: &Error) -> String {
    causes(err)
}

/// An error and all its causes on one line.
pub fn causes(err: &dyn std::error::Error) -> String {
    let mut line = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let text = err.to_string();
        if !line.ends_with(&text) {
            write!(line, ": {text}").expect("writing to a string cannot fail");
        }
        cause = err.source();
    }
    line
}

/// One line for users: `[Code] operation, resource, AWS's message; advice`.
impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, log_stream, request_id } = self;
        write!(f, "[{}] {}", error.code(), chain(error).replace(['\n', '\r'], " "))?;
        if !error.advice().is_empty() {
            write!(f, ". To do: {}", error.advice())?;
        }
        if let Some(id) = error.service().and_then(|aws| aws.request_id.as_deref()) {
            write!(f, ". AWS request {id}")?;
        }
        write!(f, " (request {request_id}, log stream {log_stream})")
    }
}

/// An error as CloudFormation shows it to users.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// The error.
    pub error: &'a Error,
    /// The function's log stream.
    pub log_stream: &'a str,
    /// The Lambda request.
    pub request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(code: &str, message: &str) -> ServiceError {
        ServiceError { code: code.into(), message: message.into(), request_id: None }
    }

    #[test]
    fn a_refusal_that_passes_is_told_from_one_that_stays() {
        assert!(aws("ClientException", "Cannot delete, resource is being modified.").transient().is_some());
        assert!(
            aws("ClientException", "Cannot delete, found existing JobQueue relationship")
                .transient()
                .is_some()
        );
        let text = "desiredvCpus should be between minvCpus and maxvCpus.";
        assert!(aws("ClientException", text).transient().is_some(), "more jobs have started meanwhile");
        assert!(aws("ClientException", "Instance role is required.").transient().is_none());
        assert!(aws("AccessDenied", "User is not authorized").transient().is_none());
    }

    #[test]
    fn a_taken_name_is_known_in_every_spelling() {
        for (code, text) in [
            ("ConflictException", "Object already exists"),
            ("InvalidParameterValue", "Error executing request, Exception : x already exists with the name"),
            ("EntityAlreadyExists", "Role with name x already exists."),
        ] {
            assert!(aws(code, text).is_taken(), "{code}");
        }
    }

    #[test]
    fn a_reason_is_one_line_that_says_what_to_do() {
        let error = Error::Call {
            action: "iam:CreateRole",
            name: "TowerForge-x-ServiceRole".into(),
            source: aws("AccessDenied", "User: arn is not\nauthorized"),
        };
        let reason = Reason { error: &error, log_stream: "2026/x", request_id: "r" }.to_string();
        assert_eq!(
            reason,
            "[AccessDenied] iam:CreateRole TowerForge-x-ServiceRole: AccessDenied: User: arn is not authorized. \
             To do: allow this action in the function's role (policies/forge-policy.json) \
             (request r, log stream 2026/x)"
        );
    }

    proptest::proptest! {
        /// Whatever AWS says and however long: the person reads what failed, on which resource, what to do, and where
        /// to look, in an answer that fits.
        #[test]
        fn a_reason_tells_the_same_however_long_awss_words_are(
            code in "[A-Z][A-Za-z.]{0,40}",
            message in "\\PC{0,9000}|[ä€𝄞\"\\\\\n\u{1}]{0,6000}",
            name in "TowerForge-[A-Za-z0-9]{22}-work-[0-9a-f]{8}",
        ) {
            use crate::event::{Envelope, ResponseUrl, Source};
            let of = Source { region: "eu-west-1".to_owned(), local: true };
            let source = ServiceError { code: code.clone(), message, request_id: Some("aws-request".into()) };
            let error = Error::Call { action: "batch:CreateComputeEnvironment", name: name.clone(), source };
            let reason = Reason { error: &error, log_stream: "2026/11/24/[$LATEST]0a1b", request_id: "lambda-request" };
            let envelope = Envelope {
                response_url: ResponseUrl::parse("http://127.0.0.1:1/x", &of).unwrap(),
                stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u".into(),
                request_id: "r".into(),
                logical_id: "Genomics".into(),
                physical_id: None,
            };
            let response = crate::respond::Response::Failed { physical_id: "id".into(), reason: reason.to_string() };
            let body = response.body(&envelope).unwrap();
            let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
            let shown = shown["Reason"].as_str().unwrap();
            for wanted in ["batch:CreateComputeEnvironment", name.as_str(), code.as_str(), "aws-request", "lambda-request",
                "2026/11/24/[$LATEST]0a1b", error.advice()]
            {
                proptest::prop_assert!(shown.contains(wanted), "no {} in {}", wanted, shown);
            }
            proptest::prop_assert!(shown.starts_with('[') && !shown.contains('\n'));
        }
    }
}

//! The outcome of a request to the function, and the expectations of tests on it.

use crate::response_url::Answer;
use crate::runtime_api::Outcome;

/// The outcome of a request, when nothing of it runs any more.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// The answer that CloudFormation heeds.
    pub(crate) answer: Option<Answer>,
    /// How each attempt and each leg ended.
    pub(crate) outcomes: Vec<Outcome>,
    /// The request in words.
    pub(crate) what: String,
    /// The log of the function.
    pub(crate) log: String,
}

impl Ended {
    /// The answer, which must be SUCCESS.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Answer {
        match self.answer {
            Some(answer) if answer.succeeded => answer,
            ref other => self.fail("SUCCESS", other.as_ref()),
        }
    }

    /// The answer, which must be FAILED.
    #[track_caller]
    pub(crate) fn expect_failure(self) -> Answer {
        match self.answer {
            Some(answer) if !answer.succeeded => answer,
            ref other => self.fail("FAILED", other.as_ref()),
        }
    }

    /// Nobody has been answered.
    #[track_caller]
    pub(crate) fn expect_silence(&self) {
        if let Some(answer) = &self.answer {
            self.fail("no answer", Some(answer))
        }
    }

    #[track_caller]
    fn fail(&self, wanted: &str, answer: Option<&Answer>) -> ! {
        let (what, outcomes, log) = (&self.what, &self.outcomes, &self.log);
        panic!("{what} should have ended in {wanted}, but: {answer:?}\nattempts: {outcomes:?}\n{log}")
    }
}

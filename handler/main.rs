//! The Lambda function.
#[allow(missing_docs)]
fn main() {}

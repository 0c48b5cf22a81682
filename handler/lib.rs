//! Tower Forge for CloudFormation.

//! The one list of the kinds of resource that a forge is made of.
//!
//! A new kind is a file in `resources/` and a line here; the adapter of the same name goes into `handler/aws/`.
//! This is the one macro of the project: everything that has to treat all kinds alike is generated from the list.

/// Calls `$callback!` with every kind: its name, its module in `resources/`, and what it is.
///
/// They stand in the order of creation; **deletion runs backwards**.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            Role => role, "An IAM role.",
            InstanceProfile => instance_profile, "An IAM instance profile.",
            LogGroup => log_group, "A CloudWatch log group.",
            Efs => efs, "An EFS file system with its mount targets.",
            Fsx => fsx, "An FSx for Lustre file system.",
            LaunchTemplate => launch_template, "An EC2 launch template.",
            ComputeEnvironment => compute_environment, "A Batch compute environment.",
            JobQueue => job_queue, "A Batch job queue.",
        }
    };
}

"""The checks: what each asks, what the code expects of AWS, and what follows if AWS does something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ask_batch as batch
import ask_cloudformation as cloudformation
import ask_lifecycle as lifecycle
import judge
from account import Aws, Shape


@dataclass(frozen=True)
class Check:
    """One question to AWS."""

    name: str
    asks: str
    expected: str
    otherwise: str
    """What follows for the code if AWS differs."""
    ask: Callable[[Aws], Shape]
    judge: Callable[[Shape], judge.Judgement]
    needs: str = ""
    """The option without which it is not asked."""
    taped: bool = True
    """Whether AWS's answers may be recorded: not where they show what else is in the account."""


CHECKS = (
    Check(
        "create-preview-delete",
        "Is a forge created and deleted, and does a preview change nothing?",
        "VALID; the plan shows one change in place; nothing is left",
        "handler/main.rs: the function fails on AWS; send its log.",
        lifecycle.create_preview_delete,
        judge.create_preview_delete,
    ),
    Check(
        "update-in-place",
        "Do new vCPU limits keep the queue and the environment?",
        "the same ARNs, the new limit",
        "handler/core/resources/compute_environment.rs: limits cannot be changed this way.",
        lifecycle.update_in_place,
        judge.update_in_place,
    ),
    Check(
        "new-generation",
        "Does another image create a new environment behind the same queue?",
        "the same queue, another VALID environment",
        "handler/core/plan.rs: generations cannot be exchanged this way.",
        lifecycle.new_generation,
        judge.new_generation,
    ),
    Check(
        "replacement",
        "Does another ForgeId replace the forge?",
        "another forge; the old one is gone",
        "handler/core/operation.rs: the clean-up misses the old forge.",
        lifecycle.replacement,
        judge.replacement,
    ),
    Check(
        "rollback",
        "Is an Update that succeeded undone when something else fails?",
        "UPDATE_ROLLBACK_COMPLETE, all as it was",
        "handler/core/operation.rs: a rollback is not recognised.",
        lifecycle.rollback,
        judge.rollback,
    ),
    Check(
        "rollback-of-replacement",
        "Is a replacement undone when something else fails?",
        "UPDATE_ROLLBACK_COMPLETE, all as it was, the new forge gone",
        "handler/core/claim.rs: duties of the rollback are missed.",
        lifecycle.rollback_of_replacement,
        judge.rollback,
    ),
    Check(
        "failed-create",
        "Is a forge deleted when something else in its stack fails?",
        "ROLLBACK_COMPLETE, nothing left",
        "handler/core/operation.rs: Delete after a failed Create leaks.",
        lifecycle.failed_create,
        judge.failed_create,
    ),
    Check(
        "delete-during-create",
        "Does a Delete end a Create that still runs?",
        "DELETE_COMPLETE, nothing left",
        "handler/core/claim.rs: the order of the two operations is wrong on AWS.",
        lifecycle.delete_during_create,
        judge.delete_during_create,
    ),
    Check(
        "kept-replacement-then-delete",
        "Does the deletion of a stack that kept a failed Update delete both forges?",
        "DELETE_COMPLETE, nothing left",
        "handler/core/claim.rs: the list of forges begun does not suffice.",
        lifecycle.kept_replacement_then_delete,
        judge.kept_replacement_then_delete,
    ),
    Check(
        "response-url",
        "What form does a ResponseURL have?",
        "S3 of AWS, the key names stack, logical ID and request, signed with X-Amz-Date for 7200 s",
        "handler/core/event.rs: ResponseUrl::signed_at reads the time of the operation from the URL.",
        cloudformation.response_url,
        judge.response_url,
    ),
    Check(
        "service-timeout",
        "Do the properties in a request contain ServiceTimeout?",
        "yes, as a string, like all scalars",
        "handler/core/intent.rs: the budget is 3600 s, too long for a stack with a shorter ServiceTimeout.",
        cloudformation.service_timeout,
        judge.service_timeout,
    ),
    Check(
        "delete-after-kept-failure",
        "Which ID and RequestId has the Delete after a kept CREATE_FAILED?",
        "the ID of the failed answer, another RequestId",
        "handler/core/operation.rs: the forge must be found by stack and logical ID.",
        cloudformation.delete_after_kept_failure,
        judge.delete_after_kept_failure,
    ),
    Check(
        "retry-after-kept-failure",
        "Is a Create that is repeated sent with the same RequestId and key?",
        "Create; request and key may be the same, the URL is not",
        "handler/core/claim.rs: with the same URL the recorded FAILED is sent again, and no retry can succeed.",
        cloudformation.retry_after_kept_failure,
        judge.retry_after_kept_failure,
    ),
    Check(
        "late-answer-of-create",
        "Has a Create's answer any effect once its Delete has begun?",
        "none",
        "handler/core/claim.rs: the superseded Create must stay silent; it does at its next gate.",
        cloudformation.late_answer_of_create,
        judge.late_answer_of_create,
    ),
    Check(
        "late-answer-of-update",
        "Has a cancelled Update's answer any effect once its rollback has begun?",
        "none; its new ID is not deleted",
        "handler/core/claim.rs: a further Delete for what the rollback has deleted must find nothing.",
        cloudformation.late_answer_of_update,
        judge.late_answer_of_update,
    ),
    Check(
        "signing-seconds",
        "Are an Update and its rollback signed in different seconds?",
        "at least one second apart",
        "handler/core/claim.rs: the tie is decided by rank, and one of the two fails.",
        cloudformation.signing_seconds,
        judge.signing_seconds,
    ),
    Check(
        "skipped-rollback",
        "What does CloudFormation do after a rollback with the resource skipped?",
        "sends nothing; the next Update has the properties from before as the old ones",
        "handler/core/claim.rs: the record, not OldResourceProperties, must be the source of the previous state.",
        cloudformation.skipped_rollback,
        judge.skipped_rollback,
    ),
    Check(
        "kept-replacement",
        "Which IDs are deleted after a kept UPDATE_FAILED of a replacement?",
        "the new one only",
        "handler/core/claim.rs: a second Delete arrives for the old ID, and must find nothing to do.",
        cloudformation.kept_replacement,
        judge.kept_replacement,
    ),
    Check(
        "stack-refactoring",
        "Can a custom resource move to another stack?",
        "no, it is refused",
        "handler/core/owner.rs: the tags name the old stack, so the forge is foreign to the new one.",
        cloudformation.stack_refactoring,
        judge.stack_refactoring,
    ),
    Check(
        "queue-with-disabled-environment",
        "May a queue be updated with one of three environments DISABLED?",
        "accepted",
        "handler/core/next.rs: an environment must be enabled before an order names it.",
        batch.queue_with_disabled_environment,
        judge.queue_with_disabled_environment,
    ),
    Check(
        "clear-time-limits",
        "Does an empty list clear jobStateTimeLimitActions?",
        "accepted, none left",
        "handler/core/properties/table.rs: removing JobStateTimeLimit needs another queue.",
        batch.clear_time_limits,
        judge.clear_time_limits,
    ),
    Check(
        "clear-scheduling-policy",
        "Is the removal of a queue's scheduling policy refused?",
        "refused",
        "handler/core/properties/table.rs: SchedulingPolicyArn could be removed in place.",
        batch.clear_scheduling_policy,
        judge.clear_scheduling_policy,
    ),
    Check(
        "revalidate-invalid",
        "Does Batch validate an INVALID environment again after an update with the same role?",
        "VALID after it",
        "handler/core/next.rs: an INVALID environment must be created anew.",
        batch.revalidate_invalid,
        judge.revalidate_invalid,
    ),
    Check(
        "young-iam",
        "What is the status of an environment that is created immediately after its roles?",
        "accepted; VALID, or INVALID with a text",
        "handler/core/error.rs: the refusal of the call must count as lag.",
        batch.young_iam,
        judge.young_iam,
    ),
    Check(
        "young-template",
        "Does Batch find a launch template immediately after its creation?",
        "VALID",
        "handler/core/next.rs: the environment must be created anew.",
        batch.young_template,
        judge.young_template,
    ),
    Check(
        "pass-role",
        "To which service are the service, instance and fleet roles passed?",
        "batch.amazonaws.com is enough for each",
        "policies/forge-policy.json: the roles named need the other services in iam:PassedToService.",
        batch.pass_role,
        judge.pass_role,
    ),
    Check(
        "shared-group",
        "Whose account does the ARN of a security group in a shared VPC name?",
        "the owner's",
        "policies/forge-policy.json: ARNs of groups must name our account too.",
        batch.shared_group,
        judge.shared_group,
        taped=False,
    ),
    Check(
        "fargate-service-role",
        "Does a job run on Fargate under a service role other than the service-linked one?",
        "no, it stays RUNNABLE",
        "handler/core/desired/environments.rs: environments on Fargate could have the forge's service role too.",
        batch.fargate_service_role,
        judge.fargate_service_role,
        needs="JOBS",
    ),
    Check(
        "limit-below-use",
        "Is a maxvCpus below the present desiredvCpus refused?",
        "refused",
        "handler/core/resources/compute_environment.rs: a limit can be lowered at once.",
        batch.limit_below_use,
        judge.limit_below_use,
        needs="INSTANCES",
    ),
    Check(
        "fsx-token",
        "Is an FSx ClientRequestToken with other parameters refused?",
        "IncompatibleParameterError",
        "handler/core/resources/fsx.rs: the token does not have to contain what cannot change.",
        batch.fsx_token,
        judge.fsx_token,
        needs="FSX",
    ),
)
"""All checks, in the order of the report."""

BY_NAME = {each.name: each for each in CHECKS}

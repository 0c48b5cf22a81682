"""What the facts of a check mean. Nothing here asks AWS, so recorded facts are judged like fresh ones.

Each function returns whether AWS did what the code expects, and a sentence with what AWS did.
"""

from __future__ import annotations

from account import Shape

Judgement = tuple[bool, str]


def _same(facts: Shape, *members: str) -> bool:
    return all(facts["before"][each] == facts["after"][each] for each in members)


def _ended(facts: Shape) -> bool:
    """Deleted, and nothing left."""
    return facts["delete"] == "DELETE_COMPLETE" and not facts["left"]


def _end(facts: Shape) -> str:
    left = ", ".join(facts["left"]) or "nothing"
    return f"then {facts['delete']}, and {left} is left"


def _update(facts: Shape) -> str:
    return " ".join(filter(None, [facts["update"], facts["why"]]))


def create_preview_delete(facts: Shape) -> Judgement:
    """The preview shows the new limit and changes nothing."""
    plan = facts["plan"]
    planned = plan.get("marks", [])
    good = facts["before"]["status"] == "VALID" and "~" in planned and "+" not in planned and "-" not in planned
    seen = f"environment {facts['before']['status']}, plan {' '.join(planned) or plan}"
    return good and facts["before"] == facts["after"] and _ended(facts), f"{seen}; {_end(facts)}"


def update_in_place(facts: Shape) -> Judgement:
    """The same queue and environment have the new limit."""
    good = facts["update"] == "UPDATE_COMPLETE" and _same(facts, "forge", "queue", "environment")
    seen = f"{_update(facts)}, limit {facts['before']['max']} → {facts['after']['max']}"
    return good and facts["after"]["max"] == 4 and _ended(facts), f"{seen}; {_end(facts)}"


def new_generation(facts: Shape) -> Judgement:
    """The same queue has another environment first."""
    good = facts["update"] == "UPDATE_COMPLETE" and _same(facts, "forge", "queue")
    other = not _same(facts, "environment")
    seen = f"{_update(facts)}, {'another' if other else 'the same'} environment, {facts['after']['status']}"
    return good and other and facts["after"]["status"] == "VALID" and _ended(facts), f"{seen}; {_end(facts)}"


def replacement(facts: Shape) -> Judgement:
    """Another forge."""
    other = not _same(facts, "forge") and not _same(facts, "queue")
    seen = f"{_update(facts)}, {'another' if other else 'the same'} forge"
    return facts["update"] == "UPDATE_COMPLETE" and other and _ended(facts), f"{seen}; {_end(facts)}"


def rollback(facts: Shape) -> Judgement:
    """Everything is as it was."""
    same = facts["before"] == facts["after"]
    seen = f"{facts['update']}, the forge is {'as it was' if same else 'changed'}"
    return facts["update"] == "UPDATE_ROLLBACK_COMPLETE" and same and _ended(facts), f"{seen}; {_end(facts)}"


def failed_create(facts: Shape) -> Judgement:
    """Rolled back to nothing."""
    return facts["create"] == "ROLLBACK_COMPLETE" and _ended(facts), f"{facts['create']}; {_end(facts)}"


def delete_during_create(facts: Shape) -> Judgement:
    """All resources of the Create are deleted."""
    return facts["during"] == "CREATE_IN_PROGRESS" and _ended(facts), f"begun in {facts['during']}; {_end(facts)}"


def kept_replacement_then_delete(facts: Shape) -> Judgement:
    """Both forges are gone."""
    other = facts["before"] != facts["after"]
    seen = f"{facts['update']} with {'another' if other else 'the same'} forge"
    return facts["update"] == "UPDATE_FAILED" and other and _ended(facts), f"{seen}; {_end(facts)}"


def response_url(facts: Shape) -> Judgement:
    """The key names the operation, and the date is when it was signed."""
    good = facts["key_is_names"] and bool(facts["date"]) and facts["expires"] == "7200"
    named = "names stack, logical ID and request" if facts["key_is_names"] else "has another form"
    seen = f"host {facts['host']}, the key {named}, {', '.join(facts['parameters'])}, expires {facts['expires']}"
    return good and facts["create"] == "CREATE_COMPLETE", seen


def service_timeout(facts: Shape) -> Judgement:
    """ServiceTimeout is among the properties, and scalars are strings."""
    found = facts["properties"]
    good = found.get("ServiceTimeout") == "300" and (found.get("Number"), found.get("Flag")) == ("1", "true")
    return good, f"properties {found}, members {', '.join(facts['members'])}"


def delete_after_kept_failure(facts: Shape) -> Judgement:
    """The Delete has the ID that the failed Create returned, and a request ID different from the Create's."""
    good = facts["kept"] == "CREATE_FAILED" and facts["delete_id"] == "failed-id" and not facts["same_request"]
    same = "the same" if facts["same_request"] else "another"
    seen = f"{facts['kept']} shows ID {facts['shown']!r}; Delete of {facts['delete_id']!r} with {same} RequestId"
    return good and facts["delete"] == "DELETE_COMPLETE", f"{seen}; {facts['delete']}"


def retry_after_kept_failure(facts: Shape) -> Judgement:
    """The Create is sent again; the URL differs even if request and key are the same."""
    same = [each for each in ("request", "key", "url") if facts[f"same_{each}"]]
    seen = f"{facts['second']} with ID {facts['second_id']!r}, the same {', '.join(same) or 'nothing'}"
    seen += f", signed at {', '.join(facts['dates'])}; {facts['update']}, further requests: {facts['also'] or 'none'}"
    return facts["second"] == "Create" and not facts["same_url"], seen


def late_answer_of_create(facts: Shape) -> Judgement:
    """It has no effect."""
    good = facts["during"] == "DELETE_IN_PROGRESS" and facts["delete"] == "DELETE_COMPLETE"
    seen = f"PUT {facts['put']}, Delete of {facts['delete_id']!r}, meanwhile {facts['during']}, then {facts['delete']}"
    return good and not facts["later_ids"], f"{seen}; further Deletes: {facts['later_ids'] or 'none'}"


def late_answer_of_update(facts: Shape) -> Judgement:
    """It has no effect, and its ID is not deleted."""
    good = facts["during"] == "UPDATE_ROLLBACK_IN_PROGRESS" and facts["end"] == "UPDATE_ROLLBACK_COMPLETE"
    seen = f"PUT {facts['put']}, rollback of {facts['back_id']!r}, meanwhile {facts['during']}, then {facts['end']}"
    good = good and facts["shown"] == "first" and not facts["also"] and facts["deleted"] == ["first"]
    return good, f"{seen} with ID {facts['shown']!r}; deleted: {facts['also'] + facts['deleted']}"


def signing_seconds(facts: Shape) -> Judgement:
    """The rollback is signed in a later second."""
    return facts["seconds"] > 0, f"{facts['seconds']} s between Update and rollback; {facts['end']}"


def skipped_rollback(facts: Shape) -> Judgement:
    """A skipped resource is sent nothing, and counts as rolled back."""
    good = facts["skipped"] == "UPDATE_ROLLBACK_COMPLETE" and not facts["asked"] and facts["old_value"] == "1"
    seen = f"{facts['failed']}, skipped {facts['skipped']} ({facts['resource']}), sent {facts['asked'] or 'nothing'}"
    return good, f"{seen}; the next Update has old Value {facts['old_value']}; {facts['end']}"


def kept_replacement(facts: Shape) -> Judgement:
    """Only the new ID is deleted, so the function has to know the old one."""
    good = facts["update"] == "UPDATE_FAILED" and facts["shown"] == "second"
    seen = f"{facts['update']} shows {facts['shown']!r}; deleted: {facts['deleted']}; {facts['end']}"
    return good and facts["deleted"] == ["later", "second"], seen


def stack_refactoring(facts: Shape) -> Judgement:
    """Custom resources are refused."""
    if "refused" in facts:
        return True, f"refused: {facts['refused']}"
    return False, (
        f"moved; sent {facts['asked'] or 'nothing'}; the next Update has ID {facts['moved_id']!r} "
        f"and {'the new' if facts['new_stack'] else 'the old'} StackId"
    )


def _refused(facts: Shape) -> str:
    return f"{facts['refused']['code']}: {facts['refused']['text']}" if facts["refused"] else "accepted"


def queue_with_disabled_environment(facts: Shape) -> Judgement:
    """The update is accepted and has its effect."""
    good = facts["state"] == "DISABLED" and facts["refused"] is None and facts["changed"]
    order = "changed" if facts["changed"] else "as before"
    return good, f"environment {facts['state']}; {_refused(facts)}; order {order}"


def clear_time_limits(facts: Shape) -> Judgement:
    """None is left."""
    return facts["refused"] is None and facts["limits"] == 0, f"{_refused(facts)}; {facts['limits']} left"


def clear_scheduling_policy(facts: Shape) -> Judgement:
    """It is refused."""
    return bool(facts["refused"]) and facts["kept"], f"{_refused(facts)}; {'kept' if facts['kept'] else 'cleared'}"


def revalidate_invalid(facts: Shape) -> Judgement:
    """The environment is VALID only after the update with the same role."""
    before, after = facts["before"], facts["after"]
    good = before["status"] == "INVALID" and facts["refused"] is None and after["status"] == "VALID"
    seen = f"{before['status']} ({before['reason']}); two minutes after the role was mended {facts['without']}"
    return good, f"{seen}; update {_refused(facts)}; then {after['status']} ({after['reason']})"


def young_iam(facts: Shape) -> Judgement:
    """Batch accepts the call; INVALID with any text is what the function repairs."""
    seen = _refused(facts) if facts["refused"] else f"{facts['status']}: {facts['reason']}"
    return facts["refused"] is None, seen


def young_template(facts: Shape) -> Judgement:
    """The template is found."""
    seen = _refused(facts) if facts["refused"] else f"{facts['status']}: {facts['reason']}"
    return facts["refused"] is None and facts["status"] == "VALID", seen


def pass_role(facts: Shape) -> Judgement:
    """batch.amazonaws.com is enough for each role."""
    more = facts["more_than_batch"]
    seen = "accepted" if facts["accepted"] else "refused to the end"
    seen += f"; roles that need more than batch.amazonaws.com: {', '.join(more) or 'none'}"
    return facts["accepted"] and not more, "; ".join([seen, *facts["texts"]])


def shared_group(facts: Shape) -> Judgement:
    """The ARN names the VPC's owner."""
    if not facts["shared"]:
        return True, "not asked: no VPC of another account is shared with this one"
    seen = f"the ARN names {'us' if facts['arn_is_ours'] else 'the other account'}"
    return not facts["arn_is_ours"], f"{seen}, OwnerId {'us' if facts['owner_is_us'] else 'the other account'}"


def fargate_service_role(facts: Shape) -> Judgement:
    """The job does not run."""
    made = facts["environment"]
    job = f"job {facts['job']} {facts['reason']}" if facts["job"] else "no job"
    return facts["job"] == "RUNNABLE", f"environment {made['status']} ({made['reason']}); {job}"


def limit_below_use(facts: Shape) -> Judgement:
    """It is refused."""
    seen = f"desiredvCpus {facts['before']}; {_refused(facts)}; then desiredvCpus {facts['after']}"
    return facts["before"] > 1 and bool(facts["refused"]), seen


def fsx_token(facts: Shape) -> Judgement:
    """The second request is refused as another one."""
    good = bool(facts["refused"]) and facts["refused"]["code"] == "IncompatibleParameterError"
    return good, _refused(facts)

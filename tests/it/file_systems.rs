//! File systems: made beside everything else, checked before, kept by every Update, and removed last.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloudformation::Stack;
use crate::state::FileSystem;
use crate::test_account::TestAccount;

const RETIRING: &str = "towerforge:retiring";

/// The least that a stack must say, and more.
fn with(more: Value) -> Value {
    let mut all = json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 100});
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

/// The changes since a call, but for the tag by which the newest operation is known.
async fn changes_since(aws: &TestAccount, seq: u64) -> Vec<String> {
    let changes = aws.calls().await.since(seq).mutating();
    let named = changes.0.iter().filter(|call| call.operation != "TagResource");
    named.map(|call| call.operation.clone()).collect()
}

/// An Update that is refused before it has changed anything, and its rollback.
async fn refused(aws: &TestAccount, stack: &Stack, properties: Value, says: &[&str]) {
    let seq = aws.now().await;
    let reason = stack.update(properties).await.expect_failure().reason;
    for word in says {
        assert!(reason.contains(word), "no {word:?} in {reason:?}");
    }
    assert_eq!(changes_since(aws, seq).await, Vec::<String>::new());
    stack.roll_back().await.expect_success();
}

fn mount_targets(system: &FileSystem) -> Vec<Value> {
    system.more["mount_targets"].as_array().unwrap().clone()
}

#[tokio::test]
async fn efs_is_encrypted_in_each_zone_and_off_the_critical_path() {
    let aws = TestAccount::new().await;
    aws.cloud.configure(json!({"durations": {"mount_target_create": 300}})).await;
    let stack = aws.stack(with(json!({"EfsCreate": true})));

    let creating = stack.start_create().await;
    let is = |target: &Value, state: &str| target["lifecycle"] == state;
    let early = aws
        .until("both queues serve", |state| {
            state.job_queues.iter().filter(|queue| queue.status == "VALID").count() == 2
        })
        .await;
    assert!(mount_targets(&early.efs[0]).iter().all(|target| is(target, "creating")), "{:?}", early.efs);
    creating.ended().await.expect_success();

    let state = aws.state().await;
    let (system, targets) = (&state.efs[0], mount_targets(&state.efs[0]));
    assert_eq!((&system.more["encrypted"], &system.more["one_zone"]), (&json!(true), &Value::Null));
    assert!(system.more["lifecycle_policies"].to_string().contains("AFTER_30_DAYS"));
    let mut zones: Vec<&str> = targets.iter().map(|target| target["zone"].as_str().unwrap()).collect();
    zones.dedup();
    assert_eq!(zones, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
    assert!(targets.iter().all(|target| is(target, "available")));

    aws.cloud.configure(json!({"durations": {"mount_target_create": 60}})).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn subnets_of_one_zone_share_a_mount_target_and_a_new_zone_gets_its_own() {
    let aws = TestAccount::new().await;
    let zones = ["eu-west-1a", "eu-west-1a", "eu-west-1b"];
    let made = aws.seed(json!({"vpc": {"zones": zones}})).await;
    let subnets = made["vpc"]["subnets"].as_array().unwrap().clone();
    let of =
        |subnets: &[Value]| with(json!({"EfsCreate": true, "VpcId": made["vpc"]["id"], "Subnets": subnets}));
    let stack = aws.stack(of(&subnets[..2]));
    stack.create().await.expect_success();
    let before = aws.state().await.efs[0].clone();
    assert_eq!(mount_targets(&before).len(), 1);

    stack.update(of(&subnets)).await.expect_success();
    let after = aws.state().await.efs[0].clone();
    assert_eq!((&after.id, mount_targets(&after).len()), (&before.id, 2));

    // Its network is where it is.
    refused(&aws, &stack, with(json!({"EfsCreate": true})), &["VpcId: given vpc-", "cannot move"]).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_lustre_file_system_grows_and_changes_in_no_other_way() {
    let aws = TestAccount::new().await;
    let of = |more: Value| with(more);
    let stack = aws.stack(of(json!({"FsxSize": 1200})));
    let id = stack.create().await.expect_success().physical_id;
    let queue = format!("TowerForge-{id}-work");
    let before = aws.state().await;
    let shown = &before.fsx[0].more;
    assert_eq!((&shown["deployment_type"], &shown["version"]), (&json!("SCRATCH_2"), &json!("2.15")));
    assert_eq!((&shown["capacity"], &shown["throughput"]), (&json!(1200), &Value::Null));

    stack.update(of(json!({"FsxSize": 2400}))).await.expect_success();
    let after = aws.state().await;
    assert_eq!((&after.fsx[0].id, &after.fsx[0].more["capacity"]), (&before.fsx[0].id, &json!(2400)));
    assert_eq!(after.queue(&queue).order, before.queue(&queue).order, "the environments stay");

    // Something else in the stack fails. A file system that has grown stays so, and the rollback does not fail for it.
    stack.roll_back().await.expect_success();
    assert_eq!(aws.state().await.fsx, after.fsx);
    stack.update(of(json!({"FsxSize": 2400}))).await.expect_success();

    refused(&aws, &stack, of(json!({"FsxSize": 1200})), &["FsxSize: given 1200, allowed: at least 2400"])
        .await;
    let persistent = of(json!({"FsxSize": 2400, "FsxDeploymentType": "PERSISTENT_1"}));
    refused(&aws, &stack, persistent, &["FsxDeploymentType: given PERSISTENT_1", "copy the files"]).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// FSx shows the old capacity and AVAILABLE until it has grown, and refuses another growth for six hours.
#[tokio::test]
async fn a_rollback_that_meets_a_growth_midway_waits_for_it() {
    let aws = TestAccount::new().await;
    aws.cloud.configure(json!({"durations": {"fsx_update": 600}})).await;
    let stack = aws.stack(with(json!({"FsxSize": 1200})));
    stack.sign(Duration::from_secs(3));
    stack.create().await.expect_success();
    stack.sign(Duration::from_secs(2));
    let update = stack.start_update(with(json!({"FsxSize": 2400}))).await;
    aws.until_called("UpdateFileSystem", 1).await;
    stack.sign(Duration::ZERO);
    let rolled_back = stack.start_roll_back().await;
    rolled_back.ended().await.expect_success();
    update.ended().await;
    let state = aws.state().await;
    assert_eq!(state.fsx[0].more["capacity"], json!(2400), "{:?}", state.fsx);
    assert_eq!(aws.calls().await.of("UpdateFileSystem").len(), 1);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_growth_that_fails_is_told_and_undone() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(json!({"FsxSize": 1200})));
    stack.create().await.expect_success();
    let failure = json!({"region": "eu-west-1", "fsx_growth_failure": {"message": "Not enough capacity."}});
    aws.cloud.seed(failure).await;
    let reason = stack.update(with(json!({"FsxSize": 2400}))).await.expect_failure().reason;
    let told = "its growth to 2400 GiB failed: Not enough capacity.";
    assert!(reason.starts_with("[NotStabilized]") && reason.contains(told), "{reason}");
    assert_eq!(aws.calls().await.of("UpdateFileSystem").len(), 1);
    stack.roll_back().await.expect_success();
    // Later it works.
    stack.update(with(json!({"FsxSize": 2400}))).await.expect_success();
    assert_eq!(aws.state().await.fsx[0].more["capacity"], json!(2400));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// FSx remembers the token of a file system that has been deleted.
#[tokio::test]
async fn another_file_system_can_follow_one_that_failed() {
    let aws = TestAccount::new().await;
    let failure = json!({"region": "eu-west-1", "fsx_failure": {"message": "Not enough capacity."}});
    aws.cloud.seed(failure).await;
    let stack = aws.stack(with(json!({"FsxSize": 1200})));
    let event = stack.create_event();
    stack.create().await.expect_failure();
    stack.roll_back().await.expect_success();
    let mut again = event;
    again["ResourceProperties"]["FsxDeploymentType"] = json!("PERSISTENT_1");
    let ended = aws.play(again.clone()).await;
    let made = ended.expect_success();
    assert_eq!(aws.state().await.fsx[0].more["deployment_type"], json!("PERSISTENT_1"));
    again["RequestType"] = json!("Delete");
    again["PhysicalResourceId"] = json!(made.physical_id);
    aws.play(again).await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn each_deployment_type_has_its_throughput() {
    let of = |kind: &str, throughput: Option<i32>| {
        let mut all = with(json!({"FsxSize": 1200, "FsxDeploymentType": kind}));
        if let Some(throughput) = throughput {
            all["FsxThroughput"] = json!(throughput);
        }
        all
    };
    let wanted = [("PERSISTENT_1", None, 50), ("PERSISTENT_1", Some(200), 200), ("PERSISTENT_2", None, 125)];
    let lives = wanted.map(async |(kind, throughput, expected)| {
        let aws = TestAccount::new().await;
        let stack = aws.stack(of(kind, throughput));
        stack.create().await.expect_success();
        let state = aws.state().await;
        let shown = &state.fsx[0].more;
        assert_eq!((&shown["deployment_type"], &shown["throughput"]), (&json!(kind), &json!(expected)));
        if throughput.is_some() {
            refused(&aws, &stack, of(kind, Some(100)), &["FsxThroughput: given 100, allowed: 200"]).await;
        }
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    });
    futures_util::future::join_all(lives).await;
}

#[tokio::test]
async fn a_lustre_file_system_that_fails_is_reported_and_removed() {
    let aws = TestAccount::new().await;
    let why = "The subnet has no free address left.";
    aws.seed(json!({"fsx_failure": {"message": why}})).await;
    let stack = aws.stack(with(json!({"FsxSize": 1200})));
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("FAILED") && reason.contains(why), "{reason}");
    assert_eq!(aws.state().await.fsx.len(), 1);
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;

    // The same in an Update: its rollback leaves the forge as it was.
    let stack = aws.stack(with(json!({})));
    stack.create().await.expect_success();
    let before = aws.state().await;
    aws.cloud.seed(json!({"region": "eu-west-1", "fsx_failure": {"message": why}})).await;
    let reason = stack.update(with(json!({"FsxSize": 1200}))).await.expect_failure().reason;
    assert!(reason.contains(why), "{reason}");
    stack.roll_back().await.expect_success();
    let after = aws.state().await;
    assert_eq!(after.fsx, Vec::new());
    let serving = |state: &crate::state::State| {
        state.job_queues.iter().map(|queue| queue.order[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(serving(&after), serving(&before));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_rule_that_a_security_group_lacks_is_named() {
    let aws = TestAccount::new().await;
    let tcp = |from: u16, to: u16| json!({"protocol": "tcp", "from": from, "to": to});
    let cases = [
        (json!({"EfsCreate": true}), json!([]), vec!["TCP port 2049"]),
        (json!({"EfsCreate": true}), json!([tcp(988, 988)]), vec!["TCP port 2049"]),
        (json!({"FsxSize": 1200}), json!([]), vec!["TCP port 988", "TCP ports 1018-1023"]),
        (json!({"FsxSize": 1200}), json!([tcp(988, 988)]), vec!["TCP ports 1018-1023"]),
        (json!({"FsxSize": 1200}), json!([tcp(988, 988), tcp(1018, 1022)]), vec!["TCP ports 1018-1023"]),
        (
            json!({"EfsCreate": true, "FsxSize": 1200}),
            json!([tcp(1018, 1023)]),
            vec!["TCP port 2049", "TCP port 988"],
        ),
    ];
    for (number, (properties, rules, missing)) in cases.into_iter().enumerate() {
        let group = json!({"name": format!("group-{number}"), "rules": rules});
        let group = aws.seed(json!({"security_group": group})).await["security_group"]["id"].clone();
        let mut properties = with(properties);
        properties["SecurityGroups"] = group.clone();
        let reason = aws.stack(properties).create().await.expect_failure().reason;
        for rule in &missing {
            let expected = format!(
                "SecurityGroups: {} does not allow inbound {rule} from itself",
                group.as_str().unwrap()
            );
            assert!(reason.contains(&expected), "no {expected:?} in {reason:?}");
        }
        assert_eq!(reason.matches("does not allow inbound").count(), missing.len(), "{reason}");
    }
    aws.assert_no_change_since(0).await;
}

#[tokio::test]
async fn the_groups_of_an_existing_efs_have_to_let_the_instances_in() {
    let aws = TestAccount::new().await;
    let made = aws.seed(json!({"vpc": {"zones": ["eu-west-1a"]}, "efs": {}})).await;
    let (vpc, subnet) = (&made["vpc"]["id"], &made["vpc"]["subnets"][0]);
    let group = async |name: &str, rules: Value| {
        let group = json!({"security_group": {"name": name, "vpc": vpc, "rules": rules}});
        aws.seed(group).await["security_group"]["id"].as_str().unwrap().to_owned()
    };
    let instances = group("instances", json!([])).await;
    let nfs = json!([{"protocol": "tcp", "from": 2049, "to": 2049, "group": instances}]);
    let (shut, open) = (group("shut", json!([])).await, group("open", nfs).await);
    let efs = async |group: &str| {
        let efs = json!({"efs": {"subnets": [subnet], "security_groups": [group]}});
        aws.seed(efs).await["efs"]["id"].as_str().unwrap().to_owned()
    };
    let of = |id: &str| with(json!({"EfsId": id, "VpcId": vpc, "SecurityGroups": instances}));

    let id = efs(&shut).await;
    let bare = made["efs"]["id"].as_str().unwrap().to_owned();
    let missing = "fs-0123456789abcdef0".to_owned();
    for (id, expected) in [
        (&id, format!("SecurityGroups: {shut} does not allow inbound TCP port 2049 from {instances}")),
        (&bare, format!("EfsId: given {bare}, which has no mount target in vpc-")),
        (&missing, format!("EfsId: given {missing}, which does not exist")),
    ] {
        let reason = aws.stack(of(id)).create().await.expect_failure().reason;
        assert!(reason.contains(&expected), "no {expected:?} in {reason:?}");
    }
    aws.assert_no_change_since(0).await;

    // The instances' own group needs no rule: they are not called back. Its mount target is still being made, and EFS does
    // not tell its groups before.
    let efs = json!({"subnets": [subnet], "security_groups": [open], "creating": 60});
    let id = aws.cloud.seed(json!({"region": "eu-west-1", "efs": efs})).await["efs"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let stack = aws.stack(of(&id));
    assert_eq!(stack.create().await.expect_success().attribute("EfsId"), id);
    stack.delete().await.expect_success();
    aws.lose("efs", &id).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn other_groups_have_to_reach_a_file_system_that_has_been_made() {
    let aws = TestAccount::new().await;
    let group = async |name: &str| {
        let rules = json!([{"protocol": "-1"}]);
        let group = json!({"security_group": {"name": name, "rules": rules}});
        aws.seed(group).await["security_group"]["id"].as_str().unwrap().to_owned()
    };
    let (old, new) = (group("old").await, group("new").await);
    let of = |groups: &[&String]| with(json!({"EfsCreate": true, "SecurityGroups": groups}));
    let stack = aws.stack(of(&[&old]));
    stack.create().await.expect_success();
    let says = format!("SecurityGroups: {old} does not allow inbound TCP port 2049 from {new}");
    refused(&aws, &stack, of(&[&new]), &[&says]).await;
    stack.update(of(&[&old, &new])).await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_mount_name_of_an_existing_lustre_file_system_is_looked_up() {
    let aws = TestAccount::new().await;
    let made = aws.seed(json!({"fsx": {}})).await["fsx"].clone();
    let of = |id: &str| with(json!({"FsxName": format!("{id}.fsx.eu-west-1.amazonaws.com")}));
    let reason = aws.stack(of("fs-0123456789abcdef0")).create().await.expect_failure().reason;
    assert!(reason.contains("FsxName: given fs-0123456789abcdef0.fsx"), "{reason}");
    aws.assert_no_change_since(0).await;

    let stack = aws.stack(of(made["id"].as_str().unwrap()));
    stack.create().await.expect_success();
    let state = aws.state().await;
    let user_data = state.launch_templates[0].data["UserData"].as_str().unwrap();
    assert!(user_data.contains(made["mount_name"].as_str().unwrap()), "{user_data}");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn file_systems_go_after_the_instances_and_mount_targets_first() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(json!({"EfsCreate": true, "FsxSize": 1200})));
    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    let calls = aws.calls().await;
    let first =
        |operation: &str| calls.of(operation).0.first().map(|call| call.seq).expect("it has been called");
    let last = |operation: &str| calls.of(operation).last_seq();
    assert!(last("DeleteComputeEnvironment") < first("DeleteMountTarget"));
    assert!(last("DeleteComputeEnvironment") < first("DeleteFileSystem"));
    let efs = calls.of("DeleteFileSystem").0.into_iter().find(|call| call.service == "efs").unwrap();
    assert!(last("DeleteMountTarget") < efs.seq);
    assert!(efs.error.is_none(), "no file system is deleted while it has mount targets");
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn no_update_deletes_data() {
    let aws = TestAccount::new().await;
    let both = || with(json!({"EfsCreate": true, "FsxSize": 1200}));
    let stack = aws.stack(both());
    let made = stack.create().await.expect_success();
    let ids = |state: &crate::state::State| (state.efs[0].id.clone(), state.fsx[0].id.clone());
    let before = ids(&aws.state().await);
    let mounted = |state: &crate::state::State| {
        let work = state.first_environment(made.attribute("ComputeQueue"));
        let template = &work.compute_resources["launchTemplate"]["launchTemplateName"];
        let template = state.launch_templates.iter().find(|it| *template == it.name.as_str()).unwrap();
        let user_data = template.data["UserData"].as_str().unwrap();
        (user_data.contains(&before.0), user_data.contains(&before.1))
    };
    assert_eq!(mounted(&aws.state().await), (true, true));

    let without = stack.update(with(json!({}))).await.expect_success();
    assert_eq!((without.attribute("EfsId"), without.attribute("FsxDnsName")), ("", ""));
    let state = aws.state().await;
    assert_eq!((ids(&state), mounted(&state)), (before.clone(), (false, false)));
    for tags in [&state.efs[0].tags, &state.fsx[0].tags] {
        assert!(tags.contains_key(RETIRING), "{tags:?}");
    }

    // Wanted again, they are the same, with all that is in them.
    stack.update(both()).await.expect_success();
    let state = aws.state().await;
    assert_eq!((ids(&state), mounted(&state)), (before.clone(), (true, true)));
    for tags in [&state.efs[0].tags, &state.fsx[0].tags] {
        assert!(!tags.contains_key(RETIRING), "{tags:?}");
    }
    assert_eq!(aws.calls().await.of("DeleteFileSystem").len(), 0);

    // They go with the forge, detached or not.
    stack.update(with(json!({"EfsCreate": true}))).await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

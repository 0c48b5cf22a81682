//! Whatever a value holds, it stays one word of one call. Values are checked before they come here; this is the
//! second wall.

use std::process::Command;

use proptest::prelude::*;
use tower_forge_core::user_data::{Boot, EfsMount, FsxMount, user_data};

use super::sandbox::{script_of, tool};
use super::{everything, minimal};

/// Text that is likely to break out of something.
fn hostile() -> impl Strategy<Value = String> {
    let fragments = prop_oneof![
        prop::sample::select(vec![
            "'",
            "''",
            "\"",
            "`id`",
            "$(id)",
            "${IFS}",
            "\\",
            "\\'",
            "\n",
            "\r\n",
            ";",
            "&&",
            "|",
            "#",
            " ",
            "\t",
            "*",
            "!",
            "<(",
            "EOF",
            "--==tower-forge==",
            "--==tower-forge==--",
            "\nfinish\n",
            "\n}\n",
            "=",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_filter("no argument holds NUL", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(fragments, 0..8).prop_map(|fragments| fragments.concat())
}

/// The words of each call at the end of a script, as bash reads them.
fn calls(script: &str) -> Vec<Vec<String>> {
    let start = script.find("\nstep 'ECS agent'").unwrap();
    let program = format!(
        "step() {{ printf '%s\\0' \"$@\"; printf '\\1\\0'; }}\nvital_step() {{ step \"$@\"; }}\nfinish() {{ :; }}\n{}",
        &script[start..]
    );
    let output = Command::new("/bin/bash").args(["-c", &program]).env_clear().output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    let mut calls = vec![vec![]];
    for word in words.split_terminator('\0') {
        match word {
            "\u{1}" => calls.push(vec![]),
            word => calls.last_mut().unwrap().push(word.to_owned()),
        }
    }
    calls.pop();
    calls
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_value_cannot_leave_its_word(values in prop::collection::vec(hostile().prop_filter("the mark", |v| v != "\u{1}"), 8)) {
        let value = |index: usize| values[index].clone();
        let boot = Boot {
            forge_id: value(0),
            region: value(1),
            log_group: Some(value(2)),
            efs: Some(EfsMount { id: value(3), path: value(4) }),
            fsx: Some(FsxMount { dns_name: value(5), mount_name: value(6), path: value(7) }),
            ecs_config: vec![value(0), value(1)],
            ..minimal()
        };
        let text = user_data(&boot).unwrap();
        let script = script_of(&text);
        let (ok, said) = tool("bash", &["-n"], script);
        prop_assert!(ok, "{}", said);

        let calls = calls(script);
        let names: Vec<_> = calls.iter().map(|call| call[1].as_str()).collect();
        prop_assert_eq!(names, ["ecs_settings", "kernel_settings", "cloudwatch_agent", "aws_cli", "efs", "lustre"]);
        prop_assert!(calls[0].ends_with(&[value(0), value(1)]));
        let settings: serde_json::Value = serde_json::from_str(&calls[2][2]).unwrap();
        prop_assert_eq!(settings["agent"]["region"].as_str(), Some(values[1].as_str()));
        prop_assert_eq!(&calls[4][2..], &values[3..5]);
        prop_assert_eq!(&calls[5][2..], &values[5..8]);

        // The last line is the only one that ends the message.
        let boundary = text.split('"').nth(1).unwrap();
        prop_assert_eq!(text.matches(&format!("\n--{boundary}")).count(), 2);
    }
}

#[test]
fn a_nul_is_left_out() {
    let text = user_data(&Boot { ecs_config: vec!["A=1\0;id".to_owned()], ..everything() }).unwrap();
    assert!(calls(script_of(&text))[0].ends_with(&["A=1;id".to_owned()]));
}

//! What ARCHITECTURE.md promises of the code, held against the code.

use std::fs;
use std::path::{Path, PathBuf};

/// The sources of the function, without their unit tests: path below `handler/`, and text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("handler");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let is_test = name.ends_with("tests.rs") || name.contains("tests/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !is_test {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
                sources.push((name, code));
            }
        }
    }
    assert!(sources.len() > 30, "the sources have moved");
    sources
}

/// The files whose code holds `text`, comments apart, and that `allowed` does not name by a beginning of their path.
fn strangers(text: &str, allowed: &[&str]) -> Vec<String> {
    let holds =
        |code: &str| code.lines().any(|line| line.contains(text) && !line.trim_start().starts_with("//"));
    let found = sources().into_iter().filter(|(_, code)| holds(code)).map(|(name, _)| name);
    found.filter(|name| !allowed.iter().any(|allowed| name.starts_with(allowed))).collect()
}

#[test]
fn deciding_is_pure_and_sync() {
    let pure = [
        "attributes.rs",
        "desired",
        "name.rs",
        "nextflow.rs",
        "plan.rs",
        "policy.rs",
        "properties",
        "user_data",
    ];
    for word in ["async", ".await", "aws_sdk_", "tokio::", "SystemTime", "std::env"] {
        let impure: Vec<String> =
            sources().into_iter().filter(|(_, code)| code.contains(word)).map(|(name, _)| name).collect();
        for name in impure {
            assert!(!pure.iter().any(|pure| name.starts_with(pure)), "{name} decides, and holds {word}");
        }
    }
}

#[test]
fn few_files_name_an_sdk() {
    let allowed = ["aws.rs", "dead_letter.rs", "invocation.rs", "network.rs", "resources/", "stack.rs"];
    assert_eq!(strangers("aws_sdk_", &allowed), [""; 0]);
}

#[test]
fn only_the_settings_read_the_environment() {
    assert_eq!(strangers("env::var", &["logging.rs", "settings.rs"]), [""; 0]);
}

#[test]
fn only_walks_and_the_answer_wait() {
    assert_eq!(strangers("time::sleep", &["converge.rs", "operation.rs", "respond.rs", "sweep.rs"]), [""; 0]);
}

#[test]
fn names_are_spelled_in_one_file() {
    assert_eq!(strangers("\"TowerForge", &["name.rs", "event.rs", "invocation.rs", "fuzz.rs"]), [""; 0]);
}

#[test]
fn a_panic_unwinds_in_the_release_too() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("panic = \"unwind\""), "an aborted process answers nobody");
    assert!(!manifest.contains("panic = \"abort\""));
}

#[test]
fn no_file_is_too_long_to_read() {
    for (name, code) in sources() {
        let lines = code.lines().count();
        assert!(lines <= 450, "{name} has {lines} lines");
    }
}

/// Every file that the map in ARCHITECTURE.md names exists, and every source file is named there.
#[test]
fn the_map_shows_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let named: Vec<&str> = map.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")).collect();
    for word in &named {
        let found =
            [root.join(word), root.join("handler").join(word)].iter().any(|path: &PathBuf| path.exists());
        assert!(found, "ARCHITECTURE.md names {word}, which does not exist");
    }
    for (name, _) in sources().into_iter().filter(|(name, _)| !name.contains('/')) {
        let shown = named.iter().any(|word| *word == name || *word == format!("handler/{name}"));
        assert!(shown, "ARCHITECTURE.md does not show handler/{name}");
    }
}

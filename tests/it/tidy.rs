//! The promises of ARCHITECTURE.md about the code, held against the code.

use std::fs;
use std::path::{Path, PathBuf};

/// All files with Rust code: path below `handler/`, and text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("handler");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// The sources of the function, without their unit tests.
fn sources() -> Vec<(String, String)> {
    let is_test =
        |name: &str| name.ends_with("tests.rs") || name.contains("tests/") || name.contains("simulation/");
    let code = |text: &str| text.split("#[cfg(test)]").next().unwrap().to_owned();
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|(name, _)| !is_test(name))
        .map(|(name, text)| (name, code(&text)))
        .collect();
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

/// The compiler keeps SDKs, runtime and network out of the core as long as its manifest does not name them.
#[test]
fn the_core_depends_on_nothing_outside() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("handler/core/Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]").unwrap();
    let (dependencies, _) = rest.split_once("[dev-dependencies]").unwrap();
    let named: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split_once(".workspace")).map(|(name, _)| name).collect();
    let pure = [
        "futures-util",
        "percent-encoding",
        "serde",
        "serde_json",
        "sha2",
        "strsim",
        "thiserror",
        "time",
        "tracing",
        "url",
    ];
    assert_eq!(named, pure);
}

/// The function's manifest names these crates only so that the tests compile the SDK with the same features.
#[test]
fn nothing_is_used_that_is_there_for_its_features() {
    for word in
        ["hyper::", "hyper_util::", "tower::", "tokio::fs", "tokio::net", "tokio::process", "tokio::signal"]
    {
        assert_eq!(strangers(word, &[]), [""; 0], "these hold {word}");
    }
}

/// The compiler cannot see this: the standard library has clocks and an environment too.
#[test]
fn the_core_reads_no_clock_and_no_environment() {
    for word in ["SystemTime", "Instant", "std::env", "std::fs", "std::net", "std::thread"] {
        let impure =
            sources().into_iter().filter(|(name, code)| name.starts_with("core/") && code.contains(word));
        let impure: Vec<String> =
            impure.map(|(name, _)| name).filter(|name| !name.contains("simulation")).collect();
        assert_eq!(impure, [""; 0], "these hold {word}");
    }
}

#[test]
fn deciding_is_sync() {
    let doing = [
        "port.rs",
        "operation.rs",
        "operation/begin.rs",
        "operation/forge.rs",
        "operation/end.rs",
        "preview.rs",
        "sweep.rs",
        "dead_letter.rs",
        "reconcile.rs",
        "claim/writer.rs",
    ];
    let doing: Vec<String> = doing.iter().map(|name| format!("core/{name}")).collect();
    let found =
        sources().into_iter().filter(|(name, code)| name.starts_with("core/") && code.contains("async "));
    let found: Vec<String> =
        found.map(|(name, _)| name).filter(|name| !name.contains("simulation")).collect();
    assert!(found.iter().all(|name| doing.contains(name)), "{found:?}");
}

#[test]
fn few_files_name_an_sdk() {
    assert_eq!(strangers("aws_sdk_", &["aws/"]), [""; 0]);
}

#[test]
fn only_few_files_read_the_environment() {
    let allowed = ["edge/logging.rs", "edge/environment.rs", "settings.rs"];
    assert_eq!(strangers("env::var", &allowed), [""; 0]);
}

#[test]
fn only_the_clock_waits() {
    assert_eq!(strangers("time::sleep", &["edge/clock.rs"]), [""; 0]);
}

/// The engine names no kind: a new one is a file in the core, one in `aws/`, and three lines.
#[test]
fn the_engine_names_no_kind() {
    for name in [
        "core/plan.rs",
        "core/next.rs",
        "core/reconcile.rs",
        "core/inventory.rs",
        "core/resource.rs",
        "core/registry.rs",
    ] {
        let (_, code) = sources().into_iter().find(|(file, _)| file == name).unwrap();
        for kind in
            ["Kind::Role", "Kind::Efs", "Kind::ComputeEnvironment", "Kind::JobQueue", "Kind::LaunchTemplate"]
        {
            assert!(!code.contains(kind), "{name} names {kind}");
        }
    }
}

#[test]
fn names_are_spelled_in_one_file() {
    assert_eq!(strangers("\"TowerForge", &["core/name.rs", "edge/event.rs", "edge/fuzz.rs"]), [""; 0]);
}

#[test]
fn a_panic_unwinds_in_the_release_too() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("panic = \"unwind\""), "an aborted process answers nobody");
    assert!(!manifest.contains("panic = \"abort\""));
}

#[test]
fn no_file_is_too_long_to_read() {
    for (name, text) in files() {
        let lines = text.lines().count();
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
        let found = [root.join(word), root.join("handler").join(word), root.join("handler/core").join(word)]
            .iter()
            .any(|path: &PathBuf| path.exists());
        assert!(found, "ARCHITECTURE.md names {word}, which does not exist");
    }
    // The adapters are named by their folder.
    let shown = |name: &str| name.matches('/').count() < 2 && !name.starts_with("aws/");
    for (name, _) in sources().into_iter().filter(|(name, _)| shown(name)) {
        let file = name.strip_prefix("core/").unwrap_or(&name);
        let shown = named.iter().any(|word| *word == file || *word == format!("handler/{name}"));
        assert!(shown, "ARCHITECTURE.md does not show handler/{name}");
    }
}

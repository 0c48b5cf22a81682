//! `docs/pitfalls.md` names a test for each pitfall; all of them exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// All text of a module of the function: its file, and the folder of its name.
fn module(name: &str) -> String {
    let folders =
        ["core", "edge"].map(|package| root().join("handler").join(package).join(name.replace("::", "/")));
    let text = |folder: &PathBuf| {
        let entries =
            [folder.clone(), folder.join("tests")].map(fs::read_dir).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.unwrap().path()).chain([folder.with_extension("rs")]);
        files.map(|path| read(&path)).collect::<String>()
    };
    folders.iter().map(text).collect()
}

#[test]
fn every_test_that_a_pitfall_names_exists() {
    let page = read(&root().join("docs/pitfalls.md"));
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.contains("how it is handled")).collect();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    for row in rows {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || proof == "–", "no proof in: {row}");
        for name in names {
            let (place, test) = name.rsplit_once("::").unwrap_or_else(|| panic!("{name} is not a test"));
            let source = match place.strip_prefix("handler::") {
                Some(inner) => module(inner),
                None if place.ends_with(".py") => read(&root().join(place)),
                None => read(&root().join("tests/it").join(place).with_extension("rs")),
            };
            let (rust, python) = (format!("fn {test}("), format!("def {test}("));
            assert!(source.contains(&rust) || source.contains(&python), "there is no {name}");
        }
    }
}

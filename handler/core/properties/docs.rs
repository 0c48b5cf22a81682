//! The pages in `docs/` that are generated from the table. `UPDATE_EXPECT=1 cargo test` rewrites them.

use std::fmt::Write as _;

use super::table::{Effect, GROUPS, Kind, Property, RETIRED, all};

const MADE: &str = "<!-- Generated from handler/core/properties/table.rs by `UPDATE_EXPECT=1 cargo test -p tower-forge-core --lib`. -->";

/// `docs/properties.md`.
fn properties_page() -> String {
    let mut page = format!(
        "# Properties of Custom::TowerForge\n\n{MADE}\n\n\
         Numbers and booleans may be written as strings, and lists as comma-separated strings. An empty string \
         counts as an absent property. Unknown properties are refused, and all faults are reported at once, before \
         anything is created. A deployment may allow less than is said here; [SECURITY.md](../SECURITY.md) lists the \
         parameters, and a refusal names the one. [updates.md](updates.md) explains the effects under *Update*; \
         [properties.schema.json](properties.schema.json) is the JSON Schema for editors.\n"
    );
    for group in GROUPS {
        write!(page, "\n## {}\n", group.title).expect("writing to a String never fails");
        for row in group.properties {
            page.push_str(&section(row));
        }
    }
    page.push_str(
        "\n## Options of Tower Forge that are refused\n\n| option | allowed | instead |\n|---|---|---|\n",
    );
    for row in RETIRED {
        writeln!(page, "| `{}` | {} | {} |", row.name, row.allowed(), row.instead).expect("as above");
    }
    page
}

fn section(row: &Property) -> String {
    let Property { name, meaning, default, allowed, aws, .. } = row;
    let update = if row.update.is_empty() { String::new() } else { format!(". {}", row.update) };
    let kind = kind_name(row.kind);
    let effects = effects(row);
    let allowed = if row.kind == Kind::Boolean { String::new() } else { format!("- Allowed: {allowed}\n") };
    format!(
        "\n### {name}\n\n{meaning}\n\n- Type: {kind}\n- Default: {default}\n{allowed}- In AWS: {aws}\n\
         - Update: {effects}{update}\n"
    )
}

fn effects(row: &Property) -> String {
    row.effects.iter().map(|effect| effect.name()).collect::<Vec<_>>().join(", or ")
}

fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::OneOf(_) => "string".to_owned(),
        Kind::Integer(..) => "integer".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::List => "list of strings".to_owned(),
        Kind::Lines => "multi-line string, or list of lines".to_owned(),
        Kind::Pairs(name, value) => format!("map, or list of objects with {name} and {value}"),
        Kind::Statements => "list of IAM statements".to_owned(),
    }
}

/// The effects and their meaning.
const EFFECTS: &[(Effect, &str)] = &[
    (Effect::InPlace, "Existing AWS resources are modified."),
    (Effect::Queue, "A queue and its compute environment are created or deleted."),
    (
        Effect::NewGeneration,
        "New compute environments are created behind the same queues; the old ones are deleted once idle.",
    ),
    (Effect::Replacement, "CloudFormation creates another forge, then deletes this one."),
    (Effect::Refused, "The Update fails before anything is changed."),
    (Effect::Config, "No AWS resource changes, only the attribute."),
    (Effect::Nothing, "Nothing changes."),
];

/// `docs/updates.md`: the effect of an Update, by property.
pub(super) fn updates_page() -> String {
    let mut page =
        format!("# What an Update does\n\n{MADE}\n\n| effect | meaning | running jobs |\n|---|---|---|\n");
    for (effect, meaning) in EFFECTS {
        writeln!(page, "| {} | {meaning} | {} |", effect.name(), effect.running_jobs()).expect("as above");
    }
    page.push_str("\n| property | Update | running jobs |\n|---|---|---|\n");
    for row in all() {
        let note = if row.update.is_empty() { String::new() } else { format!(". {}", row.update) };
        let jobs = match row.effects {
            [only] => only.running_jobs().to_owned(),
            several => {
                let each =
                    several.iter().map(|effect| format!("{}: {}", effect.name(), effect.running_jobs()));
                each.collect::<Vec<_>>().join("<br>")
            }
        };
        writeln!(page, "| `{}` | {}{note} | {jobs} |", row.name, effects(row)).expect("as above");
    }
    page
}

/// The table in the README: the same by effect.
fn updates_in_short() -> String {
    let mut table = "| an Update of | effect | running jobs |\n|---|---|---|\n".to_owned();
    for (effect, _) in EFFECTS {
        let names: Vec<String> =
            all().filter(|row| row.effects.contains(effect)).map(|row| format!("`{}`", row.name)).collect();
        if !names.is_empty() {
            let (names, does, jobs) = (names.join(" "), effect.name(), effect.running_jobs());
            writeln!(table, "| {names} | {does} | {jobs} |").expect("as above");
        }
    }
    table
}

#[test]
fn the_readme_says_what_an_update_does() {
    let table = updates_in_short();
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&table), "README.md needs this table:\n{table}");
}

#[test]
fn the_page_of_the_properties_is_what_the_table_says() {
    expect_test::expect_file!["../../../docs/properties.md"].assert_eq(&properties_page());
}

#[test]
fn the_page_of_updates_is_what_the_table_says() {
    expect_test::expect_file!["../../../docs/updates.md"].assert_eq(&updates_page());
}

#[test]
fn no_row_of_the_table_leaves_anything_out() {
    for row in all() {
        let texts = [row.name, row.default, row.allowed, row.meaning, row.aws];
        assert!(texts.iter().all(|text| !text.trim().is_empty()), "{row:?}");
        assert!(!row.effects.is_empty(), "{row:?}");
        assert_eq!(all().filter(|other| other.name == row.name).count(), 1, "{} twice", row.name);
        assert!(RETIRED.iter().all(|retired| retired.name != row.name), "{} is retired too", row.name);
        assert!(!texts.iter().any(|text| text.contains(['|', '\n'])), "{} would break a table", row.name);
    }
}

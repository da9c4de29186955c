//! The company's knowledge as rules for the analyst's agents: `.claude/rules/km_*.md`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::error::{Error, io};
use crate::http::Api;
use crate::workspace::{Workspace, replace};

/// Makes the rules those of the server; files of any other name are the analyst's.
pub(super) fn write(api: &Api, workspace: &Workspace) -> Result<(), Error> {
    let files = files(&api.get("/api/memory/bundle")?);
    let folder = workspace.rules();
    for (name, text) in &files {
        replace(&folder.join(name), text.as_bytes())?;
    }
    let Ok(there) = fs::read_dir(&folder) else {
        return Ok(());
    };
    for entry in there.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("km_") && name.ends_with(".md") && !files.contains_key(&name) {
            fs::remove_file(entry.path()).map_err(io("cannot delete", &entry.path()))?;
        }
    }
    Ok(())
}

fn items(bundle: &Value, kind: &str) -> Vec<Value> {
    bundle[kind].as_array().cloned().unwrap_or_default()
}

/// A file's name and text of each rule.
fn files(bundle: &Value) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
    for item in items(bundle, "mandatory") {
        let id = text(&item, "id");
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if (1..=128).contains(&id.len()) && id.chars().all(allowed) {
            let [title, domain, category, content] =
                ["title", "domain", "category", "content"].map(|f| text(&item, f));
            let body =
                format!("# {title}\n\n_Domain: {domain}_\n_Category: {category}_\n\n{content}\n");
            files.insert(format!("km_{id}.md"), body);
        }
    }
    let approved = items(bundle, "approved");
    if !approved.is_empty() {
        let blocks = approved
            .iter()
            .map(|item| format!("## {}\n\n{}\n", text(item, "title"), text(item, "content")));
        let blocks: Vec<String> = blocks.collect();
        files.insert(
            "km_approved.md".into(),
            format!("# Approved Corporate Knowledge\n\n{}", blocks.join("\n")),
        );
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_whose_id_is_a_path_becomes_no_file() {
        let bundle = serde_json::json!({
            "mandatory": [{"id": "../x", "title": "no"}, {"id": "a-1", "title": "Net", "content": "without tax"}],
            "approved": []});
        let files = files(&bundle);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["km_a-1.md"]);
        assert!(files["km_a-1.md"].contains("without tax"));
    }
}

//! The settings in force in this process, secrets masked.

use askama::Template;
use axum::extract::State;
use serde_json::Value;

use super::{
    page::{Failure, Page, Section, Shell},
    visit::Visit,
};
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "settings.html")]
pub(super) struct Settings {
    shell: Shell,
    sections: Vec<(String, Vec<(String, String)>)>,
}

/// The page.
pub(super) async fn show(State(state): State<ApiState>, visit: Visit) -> Result<Page<Settings>, Failure> {
    let shell = visit.shell_of_none(Section::Settings, "Settings");
    Ok(Page(Settings { shell, sections: sections(&state.settings) }))
}

/// Settings by section, each as its key and value; those outside of any section come first.
fn sections(settings: &Value) -> Vec<(String, Vec<(String, String)>)> {
    let Some(fields) = settings.as_object() else { return Vec::new() };
    let mut all = vec![(String::new(), Vec::new())];
    for (name, value) in fields {
        if value.is_object() {
            let mut rows = Vec::new();
            flatten("", value, &mut rows);
            all.push((name.clone(), rows));
        } else {
            flatten(name, value, &mut all[0].1);
        }
    }
    all.retain(|(_, rows)| !rows.is_empty());
    all
}

fn flatten(key: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, rows);
            }
        }
        Value::Null => {}
        value => rows.push((key.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_setting_is_a_row_of_its_section() {
        let settings = json!({"roles": ["api"], "email": {"providers": ["a"], "provider": {"a": {"from": "x", "dkim": null}}}});
        let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let email = [row("provider.a.from", "\"x\""), row("providers", "[\"a\"]")];
        let all = sections(&settings);
        assert!(all.contains(&(String::new(), vec![row("roles", "[\"api\"]")])));
        assert_eq!(all[1].0, "email");
        assert!(email.iter().all(|row| all[1].1.contains(row)), "{all:?}");
    }
}

//! Where settings come from, the later the stronger: the defaults, a file, the environment.
//!
//! The defaults are the schema: a key that they do not name is an error that suggests the right one, and the
//! type of a default says how the text of an environment variable is to be read. Only providers and the languages of opt-out have names of
//! their own; their keys are checked by the channels that they configure.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, DEFAULT};

/// Why the settings cannot be used. Each message says where the wrong value came from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{origin} is not TOML: {message}")]
    NotToml { origin: String, message: String },
    #[error("{origin}: there is no setting {key}{hint}")]
    Unknown { origin: String, key: String, hint: String },
    #[error("{origin}: {key} {message}")]
    Wrong { origin: String, key: String, message: String },
    #[error("these settings do not fit together: {0}")]
    Invalid(String),
}

const PREFIX: &str = "STENTOR__";

/// The settings from the defaults, `file` and `environment`.
pub(crate) fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let defaults: Table = DEFAULT
        .parse()
        .map_err(|e: toml::de::Error| ConfigError::NotToml { origin: "config/default.toml".into(), message: e.to_string() })?;
    let mut settings = defaults.clone();
    if let Some(path) = file {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        let given: Table =
            text.parse().map_err(|e: toml::de::Error| ConfigError::NotToml { origin: origin.clone(), message: e.to_string() })?;
        check_known(&origin, &given, &defaults, &mut Vec::new())?;
        merge(&mut settings, given);
    }
    for (name, text) in environment {
        if let Some(path) = name.strip_prefix(PREFIX) {
            set_from_environment(&mut settings, &defaults, &name, path, text)?;
        }
    }
    Value::Table(settings).try_into().map_err(|e: toml::de::Error| ConfigError::Invalid(e.message().to_owned()))
}

/// True for tables whose keys are names that the operator chooses.
fn is_named_map(path: &[String]) -> bool {
    path.len() == 2 && matches!((path[0].as_str(), path[1].as_str()), ("email" | "sms", "provider") | ("sms", "words" | "prices"))
}

fn check_known(origin: &str, given: &Table, known: &Table, path: &mut Vec<String>) -> Result<(), ConfigError> {
    for (key, value) in given {
        path.push(key.clone());
        if !is_named_map(path) {
            match (value, known.get(key)) {
                (_, None) => return Err(unknown(origin, path, known)),
                (Value::Table(given), Some(Value::Table(known))) => check_known(origin, given, known, path)?,
                _ => {}
            }
        }
        path.pop();
    }
    Ok(())
}

fn unknown(origin: &str, path: &[String], known: &Table) -> ConfigError {
    let last = path.last().map_or("", String::as_str);
    let near =
        known.keys().map(|k| (strsim::osa_distance(last, k), k)).min().filter(|(distance, k)| *distance <= 1 + k.len() / 3);
    let hint = near.map_or_else(
        || format!("; known here: {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
        |(_, k)| format!("; did you mean {k}?"),
    );
    ConfigError::Unknown { origin: origin.to_owned(), key: path.join("."), hint }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn set_from_environment(settings: &mut Table, defaults: &Table, name: &str, path: &str, text: String) -> Result<(), ConfigError> {
    let mut keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    let mut text = text;
    // `…_FILE` names a file that holds the value, unless a setting of that very name exists.
    if lookup(defaults, &keys).is_none()
        && let Some(stem) = keys.last().and_then(|k| k.strip_suffix("_file")).map(str::to_owned)
        && (lookup(defaults, &with_last(&keys, &stem)).is_some()
            || (is_provider(&keys) && matches!(stem.as_str(), "url" | "username" | "password" | "body" | "secret")))
    {
        let cause = |cause| ConfigError::Unreadable { path: PathBuf::from(&text), cause };
        let held = std::fs::read_to_string(&text).map_err(cause)?;
        text = held.trim_end_matches(['\r', '\n']).into();
        keys = with_last(&keys, &stem);
    }
    let value = match lookup(defaults, &keys) {
        Some(default) => read_as(default, &text).map_err(|message| ConfigError::Wrong {
            origin: format!("the environment variable {name}"),
            key: keys.join("."),
            message,
        })?,
        None if is_provider(&keys) => provider_value(&keys, text),
        None => {
            let parent = lookup_table(defaults, &keys[..keys.len() - 1]).unwrap_or(defaults);
            return Err(unknown(&format!("the environment variable {name}"), &keys, parent));
        }
    };
    let mut table = settings;
    for key in &keys[..keys.len() - 1] {
        let entry = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        match entry {
            Value::Table(next) => table = next,
            _ => return Err(ConfigError::Invalid(format!("{name}: {key} is not a section"))),
        }
    }
    table.insert(keys[keys.len() - 1].clone(), value);
    Ok(())
}

fn with_last(keys: &[String], last: &str) -> Vec<String> {
    let mut keys = keys.to_vec();
    if let Some(key) = keys.last_mut() {
        last.clone_into(key);
    }
    keys
}

/// `email.provider.NAME.KEY…`
fn is_provider(keys: &[String]) -> bool {
    keys.len() >= 4 && is_named_map(&keys[..2])
}

/// Settings of a provider have no default to tell their type. All are texts but for these, and a password of digits stays a text.
fn provider_value(keys: &[String], text: String) -> Value {
    match keys.last().map(String::as_str) {
        Some("deadline_ms" | "max_concurrency") => text.parse().map_or(Value::String(text), Value::Integer),
        Some("delivered" | "failed" | "apps" | "stop" | "start" | "help") => {
            Value::Array(text.split(',').map(|word| Value::String(word.trim().to_owned())).collect())
        }
        Some("rate_per_second") => text.parse().map_or(Value::String(text), Value::Float),
        _ => Value::String(text),
    }
}

fn lookup<'a>(table: &'a Table, keys: &[String]) -> Option<&'a Value> {
    let (last, parents) = keys.split_last()?;
    lookup_table(table, parents)?.get(last).filter(|v| !v.is_table())
}

fn lookup_table<'a>(table: &'a Table, keys: &[String]) -> Option<&'a Table> {
    keys.iter().try_fold(table, |table, key| table.get(key)?.as_table())
}

/// Reads the text of an environment variable as the type of `default`.
fn read_as(default: &Value, text: &str) -> Result<Value, String> {
    Ok(match default {
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| format!("must be a whole number, not {text:?}"))?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| format!("must be true or false, not {text:?}"))?),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
            Value::Array(parts.map(|p| Value::String(p.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        load(None, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_defaults_are_complete() {
        with(&[]).unwrap();
    }

    #[test]
    fn the_environment_is_read_by_the_type_of_the_default() {
        let config = with(&[
            ("STENTOR__HTTP__LISTEN", "127.0.0.1:9999"),
            ("STENTOR__WORKER__SMS_CONCURRENCY", "3"),
            ("STENTOR__ROLES", "api, worker"),
            ("STENTOR__ARCHIVE__MIGRATE", "false"),
            ("STENTOR__EMAIL__PROVIDERS", "main"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__URL", "smtp://127.0.0.1:25?tls=none"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "a@example.com"),
            ("STENTOR_CONFIG", "not ours"),
        ])
        .unwrap();
        assert_eq!(config.http.listen.port(), 9999);
        assert_eq!(config.worker.sms_concurrency, 3);
        assert_eq!(config.roles, [super::super::Role::Api, super::super::Role::Worker]);
        assert!(!config.archive.migrate);
        assert_eq!(config.email.providers, ["main"]);
    }

    #[test]
    fn a_wrong_name_is_an_error_that_suggests_the_right_one() {
        let error = with(&[("STENTOR__REDIS__ULR", "x")]).unwrap_err().to_string();
        assert!(error.contains("STENTOR__REDIS__ULR") && error.contains("did you mean url?"), "{error}");
        let error = with(&[("STENTOR__HTTP__LISTEN__X", "x")]).unwrap_err().to_string();
        assert!(error.contains("there is no setting"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_origin() {
        let error = with(&[("STENTOR__WORKER__SMS_CONCURRENCY", "many")]).unwrap_err().to_string();
        assert!(error.contains("SMS_CONCURRENCY") && error.contains("whole number"), "{error}");
    }

    #[test]
    fn a_secret_comes_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "redis://:s3cret@127.0.0.1:6379\n").unwrap();
        let config = with(&[("STENTOR__REDIS__URL_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(config.redis.url, "redis://:s3cret@127.0.0.1:6379");
    }

    #[test]
    fn a_file_is_checked_key_by_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stentor.toml");
        std::fs::write(&file, "[http]\nlistne = \"127.0.0.1:1\"\n").unwrap();
        let error = load(Some(&file), std::iter::empty()).unwrap_err().to_string();
        assert!(error.contains("http.listne") && error.contains("did you mean listen?"), "{error}");
    }
}

//! `stentor operator`: who may open the console.

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use stentor_api::auth::new_operator;
use stentor_archive::Archive;
use stentor_domain::{Clock, SystemClock, text::check_line};

use super::{Output, record::on_record};
use crate::{config::Config, wiring::open_archive};

#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Create an operator; the key is shown this once
    Create {
        /// What they are called, as the audit log shows it
        name: String,
    },
    /// List the operators
    List,
    /// Revoke an operator's key; its sessions end at once
    Revoke {
        /// The key's id: the part after `stn_oper_`
        id: String,
    },
}

impl Operator {
    pub(crate) async fn run(self, config: &Config, out: Output) -> anyhow::Result<()> {
        let archive = open_archive(config).await?;
        match self {
            Self::Create { name } => {
                let key = create_operator(&archive, &name).await?;
                out.say(&json!({ "operator_key": key }), |_| format!("{key}\n\nSign in with it at /console"))
            }
            Self::List => {
                let operators: Vec<_> = archive
                    .list_operators()
                    .await?
                    .into_iter()
                    .map(|o| json!({ "id": o.id, "name": o.name, "created_at": o.created_at, "revoked_at": o.revoked_at }))
                    .collect();
                out.say(&operators, |operators| {
                    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                    let line = |o: &serde_json::Value| {
                        let revoked = if o["revoked_at"].is_null() { "" } else { "\trevoked" };
                        format!("{}\t{}\t{}{revoked}", text(&o["id"]), text(&o["name"]), text(&o["created_at"]))
                    };
                    let lines: Vec<_> = operators.iter().map(line).collect();
                    if lines.is_empty() { "no operators yet: stentor operator create NAME".to_owned() } else { lines.join("\n") }
                })
            }
            Self::Revoke { id } => {
                on_record(&archive, None, ("operator.revoke", &id), async {
                    if !archive.revoke_operator(&id, SystemClock.now()).await? {
                        bail!("there is no valid key {id}; `stentor operator list` lists them");
                    }
                    Ok(())
                })
                .await?;
                out.say(&json!({ "revoked": id }), |_| format!("revoked {id}"))
            }
        }
    }
}

/// Creates an operator and gives the key that they keep.
pub(crate) async fn create_operator(archive: &Archive, name: &str) -> anyhow::Result<String> {
    if let Err(wrong) = check_line(name, 64) {
        bail!("the name {wrong}");
    }
    let (key, record) = new_operator(name, SystemClock.now());
    on_record(archive, None, ("operator.create", &format!("{} {name}", record.id)), async {
        archive.insert_operator(&record).await.context("the operator cannot be stored")
    })
    .await?;
    Ok(key)
}

//! What a person said of an address, apart from what anybody else did.
//!
//! Until now `suppressions` kept one reason of an address and category: a person's STOP was forgotten when the app lifted its own
//! suppression. From here on the row of a person's own word (`unsubscribe`, `complaint`) keeps its id, and that of all else
//! (`manual`, `hard_bounce`) has another. Rows that say that something was lifted do not know what it was, and stand for both.

use sea_orm_migration::{prelude::*, sea_orm::FromQueryResult};
use uuid::Uuid;

/// How many rows are read at once.
const PAGE: u64 = 1_000;
/// The namespace of ids of before and after.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d3e_7a52_5f1c_4c6e_8a40_6f0b_2c9d_1e77);

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(FromQueryResult)]
struct Row {
    app: String,
    id: Uuid,
    channel: String,
    address: String,
    category: String,
    reason: String,
    at: i64,
    lifted: bool,
}

impl Row {
    fn id(&self, before_category: &str) -> Uuid {
        let category = format!("{before_category}{}", self.category);
        let mut name = Vec::new();
        for part in [&self.app, &self.channel, &self.address, &category] {
            name.extend_from_slice(&(part.len() as u32).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }

    /// Its id as a person's own word.
    fn theirs(&self) -> Uuid {
        self.id("")
    }

    /// Its id as anybody else's.
    fn others(&self) -> Uuid {
        self.id("\u{1}")
    }
}

/// The rows after the one with this key.
async fn page(manager: &SchemaManager<'_>, after: Option<&Row>) -> Result<Vec<Row>, DbErr> {
    let columns = ["app", "id", "channel", "address", "category", "reason", "at", "lifted"];
    let mut rows = Query::select().columns(columns).from("suppressions").limit(PAGE).to_owned();
    rows.order_by("app", Order::Asc).order_by("id", Order::Asc);
    if let Some(Row { app, id, .. }) = after {
        let (app, same) = (app.as_str(), Expr::col("app").eq(app.as_str()));
        rows.cond_where(any![Expr::col("app").gt(app), same.and(Expr::col("id").gt(*id))]);
    }
    let db = manager.get_connection();
    db.query_all(&rows).await?.iter().map(|row| Row::from_query_result(row, "")).collect()
}

async fn rename(manager: &SchemaManager<'_>, row: &Row, id: Uuid) -> Result<(), DbErr> {
    let of_row = all![Expr::col("app").eq(row.app.as_str()), Expr::col("id").eq(row.id)];
    manager.execute(Query::update().table("suppressions").value("id", id).cond_where(of_row).to_owned()).await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut last: Option<Row> = None;
        loop {
            let mut rows = page(manager, last.as_ref()).await?;
            // A row that was moved may be met again further on; it has its new id then.
            for row in rows.iter().filter(|row| row.id == row.theirs()) {
                if row.lifted {
                    let columns = ["app", "id", "channel", "address", "category", "reason", "at", "lifted"];
                    let values: [Expr; 8] = [
                        row.app.as_str().into(),
                        row.others().into(),
                        row.channel.as_str().into(),
                        row.address.as_str().into(),
                        row.category.as_str().into(),
                        row.reason.as_str().into(),
                        row.at.into(),
                        true.into(),
                    ];
                    let known = OnConflict::columns(["app", "id"]).do_nothing_on(["app", "id"]).to_owned();
                    let mut copy = Query::insert().into_table("suppressions").columns(columns).values_panic(values).to_owned();
                    manager.execute(copy.on_conflict(known).to_owned()).await?;
                } else if ["manual", "hard_bounce"].contains(&row.reason.as_str()) {
                    rename(manager, row, row.others()).await?;
                }
            }
            match rows.pop() {
                Some(row) => last = Some(row),
                None => return Ok(()),
            }
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut last: Option<Row> = None;
        loop {
            let mut rows = page(manager, last.as_ref()).await?;
            for row in rows.iter().filter(|row| row.id == row.others()) {
                // There is one place for both: the person's own word has it, if there is one.
                let of = |id: Uuid| all![Expr::col("app").eq(row.app.as_str()), Expr::col("id").eq(id)];
                let held = Query::select().column("id").from("suppressions").cond_where(of(row.theirs())).to_owned();
                if manager.get_connection().query_one(&held).await?.is_some() {
                    let gone = Query::delete().from_table("suppressions").cond_where(of(row.id)).to_owned();
                    manager.execute(gone).await?;
                } else {
                    rename(manager, row, row.theirs()).await?;
                }
            }
            match rows.pop() {
                Some(row) => last = Some(row),
                None => return Ok(()),
            }
        }
    }
}

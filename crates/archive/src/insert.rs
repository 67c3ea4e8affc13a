//! Rows into tables, many with one statement.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, Iterable, Statement, Value,
    Values,
    sea_query::{
        DynIden, Expr, Func, InsertStatement, IntoIden, OnConflict, Query, SelectStatement, SqliteQueryBuilder, TableRef,
    },
};

/// The most rows of one statement on PostgreSQL.
const ROWS: usize = 2_000;
/// And on SQLite, a power of two. Its connection keeps what it made of a statement, in proportion to the rows.
const SQLITE_ROWS: usize = 256;

/// `all` in groups for one statement each.
pub(crate) fn groups<T>(all: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = all.into_iter();
    std::iter::from_fn(move || (rest.len() > 0).then(|| rest.by_ref().take(ROWS).collect()))
}

/// Inserts rows whose keys are new; the others change nothing.
pub(crate) async fn insert_new<A: ActiveModelTrait + Send>(db: &impl ConnectionTrait, rows: Vec<A>) -> Result<(), DbErr> {
    let key = <A::Entity as EntityTrait>::PrimaryKey::iter();
    upsert(db, rows, OnConflict::columns(key).do_nothing().to_owned()).await
}

/// Inserts rows, and does with those whose keys are known what `known` says. No two have the same key.
pub(crate) async fn upsert<A: ActiveModelTrait + Send>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    known: OnConflict,
) -> Result<(), DbErr> {
    execute(db, inserts(rows, &known, db.get_database_backend())).await
}

/// In an [`upsert`], what a column of a known row becomes: what was told if this holds, or else what it was.
pub(crate) fn take_if<C: ColumnTrait>(condition: &str, column: C) -> Expr {
    let (table, name) = (column.entity_name(), column.into_iden());
    Expr::cust(format!("CASE WHEN {condition} THEN excluded.{name} ELSE {table}.{name} END"))
}

async fn execute(db: &impl ConnectionTrait, inserts: Vec<Statement>) -> Result<(), DbErr> {
    for insert in inserts {
        db.execute_raw(insert).await?;
    }
    Ok(())
}

fn inserts<A: ActiveModelTrait>(rows: Vec<A>, known: &OnConflict, backend: DbBackend) -> Vec<Statement> {
    let table = A::Entity::default().table_ref();
    groups(rows).flat_map(|group| statements(table.clone(), columns_of(group), known.clone(), backend)).collect()
}

/// What rows have in one column.
struct Column {
    name: DynIden,
    null: Value,
    values: Vec<Value>,
}

/// The columns that are set in any row; where only some rows set it, the others have NULL.
///
/// All that is known of an entity is read here: what follows is one code for all of them, which keeps the program small.
fn columns_of<A: ActiveModelTrait>(mut rows: Vec<A>) -> Vec<Column> {
    let mut columns = Vec::new();
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let values: Vec<Option<Value>> = rows.iter_mut().map(|row| row.take(column).into_value()).collect();
        if let Some(null) = values.iter().flatten().next().map(Value::as_null) {
            let values = values.into_iter().map(|value| value.unwrap_or_else(|| null.clone())).collect();
            columns.push(Column { name: column.into_iden(), null, values });
        }
    }
    columns
}

fn statements(table: TableRef, columns: Vec<Column>, known: OnConflict, backend: DbBackend) -> Vec<Statement> {
    let mut insert = Query::insert();
    insert.into_table(table).columns(columns.iter().map(|column| column.name.clone())).on_conflict(known);
    if backend == DbBackend::Postgres {
        insert.select_from(unnested(columns)).expect("as many values as columns");
        return vec![backend.build(&insert)];
    }
    of_powers_of_two(insert, columns, backend)
}

/// Statements of 256, 128, 64 rows and so on, each once but for the first, as many as there are rows. So their texts are few, and SQLite
/// parses and plans each once a connection, where any number of rows would be a text of its own.
fn of_powers_of_two(mut insert: InsertStatement, columns: Vec<Column>, backend: DbBackend) -> Vec<Statement> {
    let Some(mut left) = columns.first().map(|column| column.values.len()) else { return Vec::new() };
    insert.values_panic(columns.iter().map(|column| Expr::from(column.null.clone())));
    let (of_one, Values(mut of_known)) = insert.build(SqliteQueryBuilder);
    let of_known = of_known.split_off(columns.len());
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let mut columns: Vec<_> = columns.into_iter().map(|column| column.values.into_iter()).collect();
    let mut statements = Vec::new();
    while left > 0 {
        let rows = SQLITE_ROWS.min(1 << left.ilog2());
        let mut values = Vec::with_capacity(rows * columns.len() + of_known.len());
        for _ in 0..rows {
            values.extend(columns.iter_mut().filter_map(Iterator::next));
        }
        values.extend_from_slice(&of_known);
        let sql = of_one.replacen(&row, &vec![&*row; rows].join(", "), 1);
        statements.push(Statement::from_sql_and_values(backend, sql, values));
        left -= rows;
    }
    statements
}

/// Selects rows out of an array a column, in their order. The text is the same however many rows there are: PostgreSQL parses and
/// plans it once a connection, and takes a dozen values where it would take thousands.
///
/// ```sql
/// SELECT "app", (CASE WHEN ("has read_at") THEN "read_at" END)
/// FROM (SELECT UNNEST($1) AS "app", UNNEST($2) AS "has read_at", UNNEST($3) AS "read_at") AS "columns"
/// ```
fn unnested(columns: Vec<Column>) -> SelectStatement {
    let unnest = |array: Value| Func::cust("UNNEST").arg(array);
    let (mut rows, mut arrays) = (Query::select(), Query::select());
    for Column { name, null, mut values } in columns {
        let has: Vec<bool> = values.iter().map(|value| *value != null).collect();
        if has.contains(&false) {
            fill(&mut values, &null);
            let has_name = format!("has {name}");
            rows.expr(Expr::case(Expr::col(has_name.clone()), Expr::col(name.clone())));
            arrays.expr_as(unnest(has.into()), has_name);
        } else {
            rows.column(name.clone());
        }
        arrays.expr_as(unnest(Value::Array(null.array_type(), Some(Box::new(values)))), name);
    }
    rows.from_subquery(arrays, "columns");
    rows
}

/// Puts something in the place of each NULL, since sea-query cannot bind an array that holds one. If there is nothing else in the
/// column, it is left without a value: beside longer arrays PostgreSQL takes NULL for what a shorter one lacks.
fn fill(values: &mut Vec<Value>, null: &Value) {
    let anything = match values.iter().find(|value| *value != null) {
        None => return values.clear(),
        Some(Value::String(_)) => Value::from(""), // a text may be long
        Some(value) => value.clone(),
    };
    for value in values.iter_mut().filter(|value| *value == null) {
        *value = anything.clone();
    }
}

#[cfg(test)]
mod tests;

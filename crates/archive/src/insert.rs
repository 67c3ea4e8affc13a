//! Rows into tables, many with one statement.

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, sea_query::OnConflict};

/// The most rows of one statement: the widest table has 15 columns, and SQL takes 32,000 values at the most.
const ROWS: usize = 2_000;

/// `all` in groups for one statement each.
pub(crate) fn groups<T>(all: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = all.into_iter();
    std::iter::from_fn(move || (rest.len() > 0).then(|| rest.by_ref().take(ROWS).collect()))
}

/// Inserts rows whose keys are new; the others change nothing.
pub(crate) async fn insert_new<A: ActiveModelTrait + Send>(db: &impl ConnectionTrait, rows: Vec<A>) -> Result<(), DbErr> {
    for group in groups(rows) {
        A::Entity::insert_many(group).on_conflict_do_nothing().exec_without_returning(db).await?;
    }
    Ok(())
}

/// Inserts rows, and does with those whose keys are known what `known` says. No two have the same key.
pub(crate) async fn upsert<A: ActiveModelTrait + Send>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    known: OnConflict,
) -> Result<(), DbErr> {
    for group in groups(rows) {
        A::Entity::insert_many(group).on_conflict(known.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_everything_in_order_and_none_is_too_large() {
        let all: Vec<usize> = (0..=2 * ROWS).collect();
        assert_eq!(groups(all.clone()).map(|group| group.len()).collect::<Vec<_>>(), [ROWS, ROWS, 1]);
        assert_eq!(groups(all.clone()).flatten().collect::<Vec<_>>(), all);
        assert_eq!(groups(Vec::<u8>::new()).count(), 0);
    }
}

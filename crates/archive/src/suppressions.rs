//! Whom not to write to. Each change carries its time: whatever the order of writing, the newest stays in each place
//! ([`SuppressionReason::place`]).

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{
    AppId, Channel, Event, EventKind, SuppressedAddress, Suppression, SuppressionId, SuppressionReason, Timestamp,
};

use crate::{
    Archive, ArchiveError,
    entities::suppression::{self, Column},
    insert::upsert,
};

/// A suppression that is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedSuppression {
    /// Its id.
    pub id: SuppressionId,
    /// Who is not written to, and why.
    pub suppression: Suppression,
    /// Since when.
    pub at: Timestamp,
}

/// Which suppressions to list.
#[derive(Clone, Debug, Default)]
pub struct SuppressionFilter {
    /// Those on this channel.
    pub channel: Option<Channel>,
    /// Those of this address.
    pub address: Option<SuppressedAddress>,
}

fn bad(e: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::unreadable("suppressions", e)
}

fn read(row: suppression::Model) -> Result<ArchivedSuppression, ArchiveError> {
    let channel: Channel = row.channel.parse().map_err(bad)?;
    Ok(ArchivedSuppression {
        id: SuppressionId::from_uuid(row.id),
        suppression: Suppression {
            address: SuppressedAddress::parse(channel, &row.address).map_err(bad)?,
            category: Some(row.category).filter(|category| !category.is_empty()),
            reason: row.reason.parse().map_err(bad)?,
            detail: row.detail,
        },
        at: Timestamp::from_millis(row.at),
    })
}

/// The places of which an event says something.
fn places_of(kind: &EventKind) -> Vec<String> {
    match kind {
        EventKind::Suppressed { suppression, .. } => vec![suppression.place()],
        EventKind::SuppressionLifted { category, reason: Some(reason), .. } => vec![reason.place(category.as_deref())],
        // Of before a person's own word was told apart from anybody else's: whatever was said was lifted.
        EventKind::SuppressionLifted { category, reason: None, .. } => {
            [SuppressionReason::Unsubscribe, SuppressionReason::Manual].map(|reason| reason.place(category.as_deref())).into()
        }
        _ => Vec::new(),
    }
}

/// Writes what events say of suppressions; called by the writer of events.
pub(crate) async fn write(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    let mut newest: BTreeMap<(&AppId, SuppressionId), suppression::ActiveModel> = BTreeMap::new();
    for e in events {
        let (address, category, reason, detail) = match &e.kind {
            EventKind::Suppressed { suppression: s, .. } => (&s.address, s.category.as_deref(), Some(s.reason), s.detail.clone()),
            EventKind::SuppressionLifted { address, category, .. } => (address, category.as_deref(), None, None),
            _ => continue,
        };
        for place in places_of(&e.kind) {
            let id = SuppressionId::new(&e.app, address.channel(), address.as_str(), &place);
            let row = suppression::ActiveModel {
                app: Set(e.app.to_string()),
                id: Set(id.as_uuid()),
                channel: Set(address.channel().as_str().to_owned()),
                address: Set(address.as_str().to_owned()),
                category: Set(category.unwrap_or_default().to_owned()),
                reason: Set(reason.map_or("", SuppressionReason::as_str).to_owned()),
                detail: Set(detail.clone()),
                at: Set(e.at.as_millis()),
                lifted: Set(reason.is_none()),
            };
            let older = |known: &suppression::ActiveModel| known.at.as_ref() <= &e.at.as_millis();
            if newest.get(&(&e.app, id)).is_none_or(older) {
                newest.insert((&e.app, id), row);
            }
        }
    }
    let newer = OnConflict::columns([Column::App, Column::Id])
        .update_columns([Column::Reason, Column::Detail, Column::At, Column::Lifted])
        .action_and_where(Expr::cust("excluded.at >= suppressions.at"))
        .to_owned();
    upsert(db, newest.into_values().collect(), newer).await
}

impl Archive {
    /// A suppression that holds.
    pub async fn find_suppression(&self, app: &AppId, id: SuppressionId) -> Result<Option<ArchivedSuppression>, ArchiveError> {
        let row = suppression::Entity::find_by_id((app.to_string(), id.as_uuid())).filter(Column::Lifted.eq(false));
        row.one(&self.db).await?.map(read).transpose()
    }

    /// Suppressions that hold, the newest first, those after the one that was made at `after`.
    pub async fn list_suppressions(
        &self,
        app: &AppId,
        filter: &SuppressionFilter,
        after: Option<(Timestamp, SuppressionId)>,
        limit: usize,
    ) -> Result<Vec<ArchivedSuppression>, ArchiveError> {
        let mut rows = suppression::Entity::find().filter(Column::App.eq(app.as_str()).and(Column::Lifted.eq(false)));
        if let Some(channel) = filter.channel {
            rows = rows.filter(Column::Channel.eq(channel.as_str()));
        }
        if let Some(address) = &filter.address {
            rows = rows.filter(Column::Channel.eq(address.channel().as_str()).and(Column::Address.eq(address.as_str())));
        }
        if let Some((at, id)) = after {
            let at = at.as_millis();
            let same = Column::At.eq(at).and(Column::Id.gt(id.as_uuid()));
            rows = rows.filter(Condition::any().add(Column::At.lt(at)).add(same));
        }
        let rows = rows.order_by_desc(Column::At).order_by_asc(Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(read).collect()
    }

    /// Every suppression that holds, by id, those after `after`: for whoever keeps a copy.
    pub async fn scan_suppressions(
        &self,
        app: &AppId,
        after: Option<SuppressionId>,
        limit: usize,
    ) -> Result<Vec<ArchivedSuppression>, ArchiveError> {
        let mut rows = suppression::Entity::find().filter(Column::App.eq(app.as_str()).and(Column::Lifted.eq(false)));
        if let Some(after) = after {
            rows = rows.filter(Column::Id.gt(after.as_uuid()));
        }
        let rows = rows.order_by_asc(Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(read).collect()
    }
}

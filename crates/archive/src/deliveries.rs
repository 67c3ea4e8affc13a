//! Deliveries: each one's latest state.

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use stentor_domain::{AppId, Channel, Delivery, DeliveryId, DeliveryState, NotificationId, Timestamp};

use crate::{Archive, ArchiveError, entities::delivery};

#[derive(FromQueryResult)]
struct Count {
    channel: String,
    state: String,
    n: i64,
}

fn bad(e: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::unreadable("deliveries", e)
}

pub(crate) fn read(row: delivery::Model) -> Result<Delivery, ArchiveError> {
    Ok(Delivery {
        id: DeliveryId::from_uuid(row.id),
        notification_id: NotificationId::from_uuid(row.notification),
        recipient: row.recipient.parse().map_err(bad)?,
        channel: row.channel.parse().map_err(bad)?,
        state: row.state.parse().map_err(bad)?,
        reason: row.reason,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        provider: row.provider,
        provider_message_id: row.provider_message_id,
        next_attempt_at: row.next_attempt_at.map(Timestamp::from_millis),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}

fn with_app(row: delivery::Model) -> Result<(AppId, Delivery), ArchiveError> {
    Ok((row.app.parse().map_err(bad)?, read(row)?))
}

impl Archive {
    /// The delivery that a provider speaks of by our id, whatever app it is of: a receipt names none.
    pub async fn find_delivery_of_any_app(&self, id: DeliveryId) -> Result<Option<(AppId, Delivery)>, ArchiveError> {
        let row = delivery::Entity::find().filter(delivery::Column::Id.eq(id.as_uuid())).one(&self.db).await?;
        row.map(with_app).transpose()
    }

    /// The delivery that a provider speaks of by its own id, whatever app it is of.
    pub async fn find_delivery_by_message(
        &self,
        provider: &str,
        message: &str,
    ) -> Result<Option<(AppId, Delivery)>, ArchiveError> {
        let of = delivery::Column::ProviderMessageId.eq(message).and(delivery::Column::Provider.eq(provider));
        let row = delivery::Entity::find().filter(of).order_by_desc(delivery::Column::UpdatedAt).one(&self.db).await?;
        row.map(with_app).transpose()
    }

    /// How many deliveries of a notification are in each state.
    pub async fn delivery_counts(
        &self,
        app: &AppId,
        id: NotificationId,
    ) -> Result<Vec<(Channel, DeliveryState, u64)>, ArchiveError> {
        let counts = delivery::Entity::find()
            .select_only()
            .column(delivery::Column::Channel)
            .column(delivery::Column::State)
            .column_as(delivery::Column::Id.count(), "n")
            .filter(delivery::Column::App.eq(app.as_str()).and(delivery::Column::Notification.eq(id.as_uuid())))
            .group_by(delivery::Column::Channel)
            .group_by(delivery::Column::State);
        let counts = counts.into_model::<Count>().all(&self.db).await?;
        let read =
            |c: Count| Ok((c.channel.parse().map_err(bad)?, c.state.parse().map_err(bad)?, u64::try_from(c.n).unwrap_or(0)));
        counts.into_iter().map(read).collect()
    }

    /// A delivery.
    pub async fn find_delivery(&self, app: &AppId, id: DeliveryId) -> Result<Option<Delivery>, ArchiveError> {
        delivery::Entity::find_by_id((app.to_string(), id.as_uuid())).one(&self.db).await?.map(read).transpose()
    }

    /// Deliveries of a notification by id, those after `after`.
    pub async fn list_deliveries(
        &self,
        app: &AppId,
        id: NotificationId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, ArchiveError> {
        let of = delivery::Column::App.eq(app.as_str()).and(delivery::Column::Notification.eq(id.as_uuid()));
        let mut rows = delivery::Entity::find().filter(of);
        if let Some(after) = after {
            rows = rows.filter(delivery::Column::Id.gt(after.as_uuid()));
        }
        let rows = rows.order_by_asc(delivery::Column::Id).limit(limit as u64).all(&self.db).await?;
        rows.into_iter().map(read).collect()
    }
}

//! A dry run: what a request would do, to whom, when and in which words. Nothing is written and nothing counted.

use serde::{Deserialize, Serialize};
use stentor_catalog::{Reader, Words};
use stentor_domain::{
    AppId, Audience, Channel, Notification, Profile, RecipientId, SuppressedAddress, Timestamp,
    content::Action,
    item::ItemContent,
    routing::{Decision, Route, decide, route},
    sms::SmsCost,
};
use stentor_templates::RenderError;
use utoipa::ToSchema;

use crate::{problem::ApiError, state::ApiState};

/// Of how many recipients it is told; a large audience is shown by its first ones.
const SHOWN: usize = 100;

/// What a request would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the field of the answer is that of the request")]
pub(crate) struct DryRun {
    /// Always true: nothing was sent.
    dry_run: bool,
    /// How many recipients are shown below: at most 100, the first ones by id of a topic or of everyone.
    recipients: usize,
    /// Whether there are more.
    more: bool,
    /// A delivery for each of them and each channel.
    deliveries: Vec<DryDelivery>,
}

/// What would become of one delivery.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DryDelivery {
    /// To whom.
    #[schema(value_type = String)]
    recipient: RecipientId,
    /// On which channel.
    channel: Channel,
    /// `send`, `skip`, `expire` or `fail`.
    decision: String,
    /// Why it is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The earliest time at which it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    earliest_at: Option<Timestamp>,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<DryOutput>,
    /// What it costs, of an SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms: Option<SmsCost>,
}

/// What a delivery says.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum DryOutput {
    /// In the inbox.
    Inbox {
        /// The card's title.
        title: String,
        /// The card's summary.
        summary: Option<String>,
        /// The card's link.
        link: Option<String>,
        /// The card's buttons.
        actions: Vec<Action>,
        /// What is loaded when it is opened.
        content: ItemContent,
    },
    /// As a mail.
    Email {
        /// Its subject.
        subject: String,
        /// Its HTML.
        html: String,
        /// Its text.
        text: String,
    },
    /// As an SMS.
    Sms {
        /// The text.
        text: String,
    },
}

impl ApiState {
    /// Decides as dispatch does, by the same rules, for the first recipients of the audience.
    pub(crate) async fn dry_run(&self, n: &Notification) -> Result<DryRun, ApiError> {
        let words = Words::of(n, &self.templates).await?.map_err(|_| ApiError::not_found("template"))?;
        let (people, more) = self.first_of(n).await?;
        let channels = n.request.channels.clone().unwrap_or_else(|| words.default_channels().to_vec());
        let category = n.request.category.as_deref().or_else(|| words.default_category());
        let mut deliveries = Vec::with_capacity(people.len() * channels.len());
        for (recipient, profile) in &people {
            let suppressed = self.suppressed_channels(&n.app, profile, &channels, category).await?;
            let routes = route(profile, &channels, category, &suppressed);
            for decision in decide(routes, n.due_at(), n.request.expires_at, self.now()) {
                deliveries.push(self.dry_delivery(n, &words, recipient, profile, decision));
            }
        }
        Ok(DryRun { dry_run: true, recipients: people.len(), more, deliveries })
    }

    async fn first_of(&self, n: &Notification) -> Result<(Vec<(RecipientId, Profile)>, bool), ApiError> {
        let (ids, more) = match &n.request.audience {
            Audience::Recipients(named) => (named.iter().take(SHOWN).map(|r| r.id.clone()).collect(), named.len() > SHOWN),
            Audience::Topic(topic) => more_than_shown(self.archive.list_members(&n.app, topic, None, SHOWN + 1).await?),
            Audience::Everyone => more_than_shown(self.archive.list_recipient_ids(&n.app, None, SHOWN + 1).await?),
        };
        let mut records = self.archive.find_profiles(&n.app, &ids).await?;
        let mut people: Vec<(RecipientId, Profile)> = Vec::with_capacity(ids.len());
        for id in ids {
            // Hot first: what a request set a moment ago is there before it is in SQL.
            let hot = self.profiles.find(&n.app, &id).await?;
            let profile = hot.or_else(|| records.remove(&id)).unwrap_or_default();
            people.push((id, profile));
        }
        if let Audience::Recipients(named) = &n.request.audience {
            for ((_, profile), named) in people.iter_mut().zip(named) {
                named.profile.apply(profile);
            }
        }
        Ok((people, more))
    }

    async fn suppressed_channels(
        &self,
        app: &AppId,
        profile: &Profile,
        channels: &[Channel],
        category: Option<&str>,
    ) -> Result<Vec<Channel>, ApiError> {
        let mut suppressed = Vec::new();
        for channel in channels {
            let Some(address) = SuppressedAddress::of(profile, *channel) else { continue };
            if self.why_suppressed(app, &address, category).await?.is_some() {
                suppressed.push(*channel);
            }
        }
        Ok(suppressed)
    }

    fn dry_delivery(
        &self,
        n: &Notification,
        words: &Words<'_>,
        recipient: &RecipientId,
        profile: &Profile,
        decision: Decision,
    ) -> DryDelivery {
        let channel = decision.channel();
        let told = |decision: &str, reason: Option<String>| DryDelivery {
            recipient: recipient.clone(),
            channel,
            decision: decision.to_owned(),
            reason,
            earliest_at: None,
            output: None,
            sms: None,
        };
        let (route, at) = match decision {
            Decision::Skip(_, reason) => return told("skip", Some(reason.as_str().to_owned())),
            Decision::Expired(_) => return told("expire", Some("expired".to_owned())),
            Decision::Send { route, at } => (route, at),
        };
        let reader = Reader {
            recipient: Some(recipient),
            locale: profile.locale.as_ref(),
            timezone: profile.timezone.as_deref(),
            attributes: &profile.attributes,
            now: at,
        };
        match self.render(n, words, reader, &route) {
            Ok((output, sms)) => DryDelivery { earliest_at: Some(at), output: Some(output), sms, ..told("send", None) },
            Err(error) => told("fail", Some(error.to_string())),
        }
    }

    fn render(
        &self,
        n: &Notification,
        words: &Words<'_>,
        reader: Reader<'_>,
        route: &Route,
    ) -> Result<(DryOutput, Option<SmsCost>), RenderError> {
        Ok(match route {
            Route::Email(_) => {
                let mail = words.email(n, reader)?;
                (DryOutput::Email { subject: mail.subject, html: mail.html, text: mail.text }, None)
            }
            Route::Sms(to) => {
                let sms = words.sms(n, reader)?;
                let cost = self.sms_prices.cost(to, &sms.text);
                (DryOutput::Sms { text: sms.text }, Some(cost))
            }
            Route::Inbox | Route::Skip(..) => {
                let item = words.inbox(n, reader)?;
                let (title, summary, link) = (item.title, item.summary, item.link);
                (DryOutput::Inbox { title, summary, link, actions: item.actions, content: item.content }, None)
            }
        })
    }
}

fn more_than_shown(mut ids: Vec<RecipientId>) -> (Vec<RecipientId>, bool) {
    let more = ids.len() > SHOWN;
    ids.truncate(SHOWN);
    (ids, more)
}

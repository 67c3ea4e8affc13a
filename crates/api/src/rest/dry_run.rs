//! A dry run: what a request would do, to whom, when and in which words. Nothing is written and nothing counted.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use stentor_catalog::{Reader, Words};
use stentor_domain::{
    AppId, Audience, Channel, Notification, PhoneNumber, Profile, RecipientId, SkipReason, SuppressedAddress, Timestamp,
    Violation,
    content::Action,
    item::ItemContent,
    places,
    routing::{Decision, Route, decide, route},
    sms::{SmsCost, SmsLimits},
};
use stentor_inbox::Asked;
use stentor_templates::RenderError;
use utoipa::ToSchema;

use super::accept::warnings;
use crate::{problem::ApiError, state::ApiState};

/// Of how many recipients it is told; a large audience is shown by its first ones.
const SHOWN: usize = 100;
/// How many recipients are looked at for what it costs: as many as a request may name.
const PRICED: usize = 1_000;
/// How many profiles are read at once.
const PAGE: usize = 500;

/// What a request would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the field of the answer is that of the request")]
pub(crate) struct DryRun {
    /// Always true: nothing was sent.
    dry_run: bool,
    /// How many recipients are shown below: at most 100, the first ones by id of a topic or of everyone. All dry runs of a batch show
    /// that many together, so that the later ones may show none.
    recipients: usize,
    /// Whether there are more.
    more: bool,
    /// A delivery for each of them and each channel.
    deliveries: Vec<DryDelivery>,
    /// What the SMS cost, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms: Option<DrySms>,
    /// Addresses that came with the request and are none, as in the answer to what is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Violation>,
}

/// What the SMS of a request, or of the dry runs of a batch together, cost, of the first 1,000 recipients.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct DrySms {
    /// Of how many recipients; those that are not shown above among them.
    recipients: usize,
    /// Whether there are more, which are not in these sums.
    more: bool,
    /// How many SMS are sent.
    messages: usize,
    /// Into how many segments they are cut.
    segments: u32,
    /// What they cost by the operator's price list, where every one of them is on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price_estimate: Option<String>,
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

/// What the dry runs of one call share: how many recipients they may show and look at, and what is left of the limits of the day once
/// those before them were sent.
pub(crate) struct Trial {
    shown: usize,
    priced: usize,
    left: Left,
    sms: Option<DrySms>,
    prices: Vec<Price>,
}

/// To whom an SMS goes, and into how many segments it is cut.
type Price = (Option<PhoneNumber>, u32);

impl ApiState {
    /// A trial that nothing was tried in yet.
    pub(crate) fn trial(&self) -> Trial {
        let left = Left { limits: self.sms_limits, budgets: BTreeMap::new() };
        Trial { shown: SHOWN, priced: PRICED, left, sms: None, prices: Vec::new() }
    }

    /// What the SMS of all that was tried cost together, if there are any.
    pub(crate) fn cost_of(&self, trial: Trial) -> Option<DrySms> {
        let price_estimate = self.price_of(&trial.prices);
        trial.sms.map(|sms| DrySms { price_estimate, ..sms })
    }

    fn price_of(&self, prices: &[Price]) -> Option<String> {
        self.sms_prices.total(prices.iter().filter_map(|(to, n)| Some((to.as_ref()?, *n))))
    }

    /// Decides as dispatch does, by the same rules, for the first recipients of the audience.
    pub(crate) async fn dry_run(&self, n: &Notification, trial: &mut Trial) -> Result<DryRun, ApiError> {
        let words = Words::of(n, &self.templates).await?.map_err(|_| ApiError::not_found("template"))?;
        let (channels, category) = (words.channels(n).to_vec(), words.category(n));
        let by_sms = channels.contains(&Channel::Sms);
        let may_show = trial.shown;
        let (people, more) = self.first_of(n, if by_sms { Ord::max(trial.priced, may_show) } else { may_show }).await?;
        let suppressed = self.suppressed_channels(&n.app, &people, &channels, category).await?;
        if by_sms {
            self.learn_what_is_left(n, &people, &mut trial.left).await?;
            trial.priced = trial.priced.saturating_sub(people.len());
        }
        let mut run = DryRun {
            dry_run: true,
            recipients: people.len().min(may_show),
            more: more || people.len() > may_show,
            deliveries: Vec::new(),
            sms: by_sms.then(|| DrySms { recipients: people.len(), more, ..DrySms::default() }),
            warnings: warnings(n),
        };
        trial.shown -= run.recipients;
        let mut prices: Vec<Price> = Vec::new();
        for (place, (recipient, profile)) in people.iter().enumerate() {
            let asked: &[Channel] = if place < may_show { &channels } else { &[Channel::Sms] };
            let routes = route(profile, asked, category, &n.invalid_channels(place), &suppressed[place]);
            // A thousand messages are work for a processor: others have their turn in between.
            tokio::task::yield_now().await;
            for decision in decide(routes, n.due_at(), n.request.expires_at, self.now()) {
                let mut delivery = self.dry_delivery(n, &words, recipient, profile, decision);
                if let Some(cost) = &delivery.sms {
                    if trial.left.take(&n.app, recipient, cost.segments) {
                        prices.push((profile.phone.clone(), cost.segments));
                    } else {
                        let reason = Some(SkipReason::Throttled.as_str().to_owned());
                        delivery =
                            DryDelivery { decision: "skip".to_owned(), reason, earliest_at: None, output: None, ..delivery };
                    }
                }
                if place < may_show {
                    run.deliveries.push(delivery);
                }
            }
        }
        if let Some(sms) = &mut run.sms {
            sms.messages = prices.len();
            sms.segments = prices.iter().map(|(_, segments)| segments).sum();
            sms.price_estimate = self.price_of(&prices);
            let all = trial.sms.get_or_insert_default();
            all.recipients += sms.recipients;
            all.more |= sms.more;
            all.messages += sms.messages;
            all.segments += sms.segments;
            trial.prices.extend(prices);
        }
        Ok(run)
    }

    /// Asks what the limits of the day have left of what is not known yet.
    async fn learn_what_is_left(
        &self,
        n: &Notification,
        people: &[(RecipientId, Profile)],
        left: &mut Left,
    ) -> Result<(), ApiError> {
        let mut budgets: BTreeMap<String, u32> = BTreeMap::new();
        for (recipient, _) in people {
            budgets.extend(left.limits.budgets(&n.app, recipient));
        }
        budgets.retain(|name, _| !left.budgets.contains_key(name));
        let names: Vec<String> = budgets.keys().cloned().collect();
        let used = self.sms_queue()?.used_today(&names).await?;
        left.budgets.extend(budgets.into_iter().zip(used).map(|((name, most), used)| (name, most.saturating_sub(used))));
        Ok(())
    }

    async fn first_of(&self, n: &Notification, most: usize) -> Result<(Vec<(RecipientId, Profile)>, bool), ApiError> {
        let (ids, more) = match &n.request.audience {
            Audience::Recipients(named) => (named.iter().take(most).map(|r| r.id.clone()).collect(), named.len() > most),
            Audience::Topic(topic) => more_than(most, self.archive.list_members(&n.app, topic, None, most + 1).await?),
            Audience::Everyone => more_than(most, self.archive.list_recipient_ids(&n.app, None, most + 1).await?),
        };
        let mut records = HashMap::new();
        for page in ids.chunks(PAGE) {
            records.extend(self.archive.find_profiles(&n.app, page).await?);
        }
        let mut people: Vec<(RecipientId, Profile)> = Vec::with_capacity(ids.len());
        // Hot first: what a request set a moment ago is there before it is in SQL.
        let hot = self.profiles.find_all(&n.app, &ids).await?;
        for (id, hot) in ids.into_iter().zip(hot) {
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

    /// The channels on which each person's address is suppressed, in order.
    async fn suppressed_channels(
        &self,
        app: &AppId,
        people: &[(RecipientId, Profile)],
        channels: &[Channel],
        category: Option<&str>,
    ) -> Result<Vec<Vec<Channel>>, ApiError> {
        let of = |(place, (_, profile)): (usize, &(RecipientId, Profile))| -> Vec<(usize, SuppressedAddress)> {
            channels.iter().filter_map(|channel| Some((place, SuppressedAddress::of(profile, *channel)?))).collect()
        };
        let addresses: Vec<(usize, SuppressedAddress)> = people.iter().enumerate().flat_map(of).collect();
        let places = places(category);
        // The first is looked at with each of the others.
        let rest = &places[1..];
        let asked: Vec<Asked<'_>> =
            addresses.iter().flat_map(|(_, address)| rest.iter().map(move |place| (address, Some(place.as_str())))).collect();
        let hot = self.suppressions.find(app, &asked).await?;
        let mut suppressed = vec![Vec::new(); people.len()];
        for (n, (place, address)) in addresses.iter().enumerate() {
            let reason = match &hot {
                Some(reasons) => reasons[n * rest.len()..][..rest.len()].iter().copied().find_map(|reason| reason),
                // Redis has no copy yet; whoever dispatches next makes it.
                None => self.why_suppressed(app, address, category).await?,
            };
            if reason.is_some() {
                suppressed[*place].push(address.channel());
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
            unsubscribe: None,
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

/// What is left of the limits of a day.
struct Left {
    limits: SmsLimits,
    budgets: BTreeMap<String, u32>,
}

impl Left {
    /// Takes `segments` if they fit into each limit.
    fn take(&mut self, app: &AppId, recipient: &RecipientId, segments: u32) -> bool {
        let names: Vec<String> = self.limits.budgets(app, recipient).into_iter().map(|(name, _)| name).collect();
        let fits = names.iter().all(|name| self.budgets.get(name).is_none_or(|left| *left >= segments));
        if fits {
            for name in &names {
                self.budgets.entry(name.clone()).and_modify(|left| *left -= segments);
            }
        }
        fits
    }
}

fn more_than(most: usize, mut ids: Vec<RecipientId>) -> (Vec<RecipientId>, bool) {
    let more = ids.len() > most;
    ids.truncate(most);
    (ids, more)
}

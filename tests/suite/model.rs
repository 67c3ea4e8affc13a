//! Whatever senders and people do, every device shows what a plain list says: items, order and unread.
//!
//! 20 people with 3 devices each, some of them away; operations drawn from a seed, after each of which the connected devices of
//! everyone concerned are compared, and after every twentieth all devices and every inbox over REST. A short run here;
//! `make crowds` runs 10,000.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Api, at,
    device::Device,
    serve::{Process, bank, settings, sqlite},
};

const PEOPLE: usize = 20;
const DEVICES: usize = 3;
const TOPICS: [&str; 2] = ["red", "blue"];

/// A generator that gives the same for a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(2_685_821_657_736_338_717) >> 33) as usize % n
    }
}

/// What a person has of one notification.
#[derive(Clone, Copy, Default)]
struct Has {
    read: bool,
    archived: bool,
}

/// The plain lists, in the order of writing.
#[derive(Default)]
struct Model {
    order: Vec<String>,
    people: Vec<BTreeMap<String, Has>>,
    members: [BTreeSet<usize>; 2],
}

impl Model {
    /// What a person's inbox shows, newest first, each with whether it is read.
    fn shown(&self, person: usize) -> Vec<(String, bool)> {
        let has = |id: &String| self.people[person].get(id).filter(|has| !has.archived).map(|has| (id.clone(), has.read));
        self.order.iter().rev().filter_map(has).collect()
    }

    fn unread(&self, person: usize) -> u64 {
        self.people[person].values().filter(|has| !has.read && !has.archived).count() as u64
    }

    fn pick(&self, person: usize, dice: &mut Dice, of: impl Fn(&Has) -> bool) -> Vec<String> {
        let all: Vec<&String> = self.people[person].iter().filter(|(_, has)| of(has)).map(|(id, _)| id).collect();
        if all.is_empty() {
            return Vec::new();
        }
        (0..=dice.below(3)).map(|_| all[dice.below(all.len())].clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A device and what it shows.
struct Screen {
    device: Option<Device>,
    shows: BTreeMap<String, bool>,
    unread: u64,
    cursor: Value,
    /// It must list again.
    stale: bool,
}

impl Screen {
    fn show(&mut self, item: &Value) {
        let id = item["id"].as_str().unwrap().to_owned();
        if item["archived_at"].is_null() {
            self.shows.insert(id, !item["read_at"].is_null());
        } else {
            self.shows.remove(&id);
        }
    }

    fn take(&mut self, frame: &Value) {
        let ids = || frame["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
        match frame["type"].as_str().unwrap() {
            "item" => self.show(&frame["item"]),
            "resync" => self.stale = true,
            "state" => match frame["change"].as_str().unwrap() {
                change @ ("read" | "unread") => {
                    for id in ids() {
                        self.shows.entry(id).and_modify(|read| *read = change == "read");
                    }
                }
                "archived" | "expired" | "recalled" | "removed" => ids().for_each(|id| {
                    self.shows.remove(&id);
                }),
                "unarchived" => self.stale = true,
                other => panic!("{other}: {frame}"),
            },
            _ => return,
        }
        self.unread = frame["unread"].as_u64().unwrap();
        self.cursor = frame["cursor"].clone();
    }

    async fn connect(&mut self, api: &Api, token: &str) {
        let cursor = Some(&self.cursor).filter(|c| c.is_string());
        let (device, welcome) = Device::open(&api.url, token, cursor).await;
        self.device = Some(device);
        if welcome["recovered"] == json!(true) {
            for id in welcome["removed"].as_array().unwrap() {
                self.shows.remove(id.as_str().unwrap());
            }
        } else {
            self.shows.clear();
            self.stale = welcome["next"].is_string();
        }
        for item in welcome["items"].as_array().unwrap() {
            self.show(item);
        }
        (self.unread, self.cursor) = (welcome["unread"].as_u64().unwrap(), welcome["cursor"].clone());
    }

    /// Lists everything anew; what happens meanwhile is taken in as it comes.
    async fn reload(&mut self) {
        let (mut shows, mut after) = (Vec::new(), Value::Null);
        loop {
            self.device.as_mut().unwrap().send(&json!({"type": "list", "ref": "l", "limit": 100, "after": after})).await;
            let page = loop {
                let frame = self.device.as_mut().unwrap().frame().await;
                if frame["type"] == "page" {
                    break frame;
                }
                self.take(&frame);
            };
            shows.extend(page["items"].as_array().unwrap().clone());
            after = page["next"].clone();
            if after.is_null() {
                break;
            }
        }
        self.stale = false;
        self.shows.clear();
        for item in &shows {
            self.show(item);
        }
    }

    /// Takes frames until it shows what it should; that it never does fails in time.
    async fn until(&mut self, who: &str, shown: &[(String, bool)], unread: u64) {
        let shown: BTreeMap<String, bool> = shown.iter().cloned().collect();
        while self.device.is_some() && (self.shows != shown || self.unread != unread) {
            if self.stale {
                self.reload().await;
                continue;
            }
            let waiting = self.device.as_mut().unwrap().frame();
            let Ok(frame) = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await else {
                let (shows, is) = (&self.shows, self.unread);
                panic!("{who} stays at {is} of {unread} unread\nshows  {shows:?}\nshould {shown:?}")
            };
            self.take(&frame);
        }
    }
}

struct World {
    api: Api,
    process: Process,
    model: Model,
    tokens: Vec<String>,
    screens: Vec<Vec<Screen>>,
    dice: Dice,
    named: usize,
    /// Whose inbox or devices changed since they were compared.
    concerned: BTreeSet<usize>,
}

fn name(person: usize) -> String {
    format!("p{person}")
}

impl World {
    async fn send(&mut self, audience: Value, to: impl IntoIterator<Item = usize>, brief: bool) {
        self.named += 1;
        let mut body = json!({"audience": audience, "content": {"title": format!("n-{}", self.named)}});
        if brief {
            body["expires_at"] = json!(at(3.0));
        }
        let id = self.api.send(&body).await;
        self.model.order.push(id.clone());
        let to: Vec<usize> = to.into_iter().collect();
        for person in &to {
            self.model.people[*person].insert(id.clone(), Has::default());
            self.concerned.insert(*person);
        }
        // The lists are of what was written: the next is sent when this one is.
        self.written(&id).await;
        if brief {
            self.check().await;
            for person in to {
                self.model.people[person].remove(&id);
                self.concerned.insert(person);
            }
        }
    }

    async fn written(&self, id: &str) {
        stentor_tests::eventually("the dispatch", async || {
            let status = self.api.get(&format!("/v1/notifications/{id}")).await["status"].clone();
            (status == json!("completed")).then_some(())
        })
        .await;
    }

    async fn call(&self, person: usize, path: &str) {
        let (status, answer) = self.api.as_person(Method::POST, path, &self.tokens[person], Some(&json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn mark(&mut self, person: usize, change: &str, ids: Vec<String>) {
        for id in &ids {
            let has = self.model.people[person].get_mut(id).unwrap();
            match change {
                "read" | "unread" => has.read = change == "read",
                _ => has.archived = change == "archive",
            }
        }
        // By a device that is there, or over REST.
        let there = self.screens[person].iter_mut().find_map(|screen| screen.device.as_mut());
        match there {
            Some(device) if !ids.is_empty() => device.send(&json!({"type": change, "ref": "m", "ids": ids})).await,
            _ => {
                for id in ids {
                    self.call(person, &format!("/v1/inbox/items/{id}/{change}")).await;
                }
            }
        }
    }

    async fn step(&mut self) {
        let person = self.dice.below(PEOPLE);
        self.concerned.insert(person);
        match self.dice.below(100) {
            0..20 => {
                let mut to = BTreeSet::from([person]);
                to.extend((0..self.dice.below(3)).map(|_| self.dice.below(PEOPLE)).collect::<Vec<_>>());
                let names: Vec<String> = to.iter().map(|p| name(*p)).collect();
                self.send(json!({"recipients": names}), to, false).await;
            }
            20..28 => self.send(json!("everyone"), 0..PEOPLE, false).await,
            28..36 => {
                let topic = self.dice.below(2);
                let members: Vec<usize> = self.model.members[topic].iter().copied().collect();
                self.send(json!({"topic": TOPICS[topic]}), members, false).await;
            }
            36..37 if self.dice.below(2) == 0 => self.send(json!("everyone"), 0..PEOPLE, true).await,
            36..37 => self.send(json!({"recipients": [name(person)]}), [person], true).await,
            37..57 => {
                let ids = self.model.pick(person, &mut self.dice, |has| !has.archived);
                let change = if self.dice.below(4) == 0 { "unread" } else { "read" };
                self.mark(person, change, ids).await;
            }
            57..65 => {
                let ids = self.model.pick(person, &mut self.dice, |has| !has.archived);
                self.mark(person, "archive", ids).await;
            }
            65..68 => {
                let ids = self.model.pick(person, &mut self.dice, |has| has.archived);
                self.mark(person, "unarchive", ids).await;
            }
            68..71 => {
                self.call(person, "/v1/inbox/read-all").await;
                self.model.people[person].values_mut().filter(|has| !has.archived).for_each(|has| has.read = true);
            }
            71..76 if !self.model.order.is_empty() => {
                let id = self.model.order[self.dice.below(self.model.order.len())].clone();
                let (status, answer) = self.api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
                assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
                for (person, has) in self.model.people.iter_mut().enumerate() {
                    if has.remove(&id).is_some() {
                        self.concerned.insert(person);
                    }
                }
            }
            76..82 => {
                let topic = self.dice.below(2);
                let path = format!("/v1/topics/{}/recipients/{}", TOPICS[topic], name(person));
                let joins = self.model.members[topic].insert(person);
                let method = if joins { Method::PUT } else { Method::DELETE };
                if !joins {
                    self.model.members[topic].remove(&person);
                }
                let (status, answer) = stentor_tests::answer(self.api.request(method, &path)).await;
                assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
            }
            82..90 => {
                let screen = self.dice.below(DEVICES);
                self.screens[person][screen].device = None;
            }
            _ => {
                let screen = self.dice.below(DEVICES);
                let (api, token) = (&self.api, &self.tokens[person]);
                self.screens[person][screen].connect(api, token).await;
            }
        }
    }

    /// kill -9; everybody comes back with the cursor that they have.
    async fn kill(&mut self) {
        self.process.kill();
        self.process.restart().await;
        for (person, screens) in self.screens.iter_mut().enumerate() {
            for screen in screens.iter_mut().filter(|screen| screen.device.is_some()) {
                screen.connect(&self.api, &self.tokens[person]).await;
            }
        }
    }

    /// Every device that is there of those concerned.
    async fn check(&mut self) {
        for person in std::mem::take(&mut self.concerned) {
            let (shown, unread) = (self.model.shown(person), self.model.unread(person));
            for (n, screen) in self.screens[person].iter_mut().enumerate() {
                screen.until(&format!("device {n} of {}", name(person)), &shown, unread).await;
            }
        }
    }

    async fn check_lists(&self) {
        for person in 0..PEOPLE {
            let shown = self.model.shown(person);
            let limit = if shown.len() < 100 { 7 } else { 100 };
            stentor_tests::eventually("the list", async || {
                let (mut list, mut after) = (Vec::new(), String::new());
                let unread = loop {
                    let path = format!("/v1/recipients/{}/inbox?limit={limit}{after}", name(person));
                    let page = self.api.get(&path).await;
                    let item = |i: &Value| (i["id"].as_str().unwrap().to_owned(), !i["read_at"].is_null());
                    list.extend(page["items"].as_array().unwrap().iter().map(item));
                    match page["next"].as_str() {
                        Some(next) => after = format!("&after={next}"),
                        None => break page["unread"].as_u64().unwrap(),
                    }
                };
                (list == shown && unread == self.model.unread(person)).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn every_device_shows_what_a_plain_list_says() {
    let full = std::env::var("STENTOR_FAULTS").is_ok_and(|v| v == "full");
    let steps = if full { 10_000 } else { 400 };
    let seed = std::env::var("STENTOR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_123);
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let settings = settings(&redis.url(), &sqlite(&dir), &[]);
    let api = bank(&settings);
    let process = Process::start(&settings).await;
    let (mut tokens, mut screens) = (Vec::new(), Vec::new());
    for person in 0..PEOPLE {
        let token = api.token(&name(person)).await;
        let new = || Screen { device: None, shows: BTreeMap::new(), unread: 0, cursor: Value::Null, stale: false };
        let mut own: Vec<Screen> = (0..DEVICES).map(|_| new()).collect();
        own[0].connect(&api, &token).await; // which registers them
        tokens.push(token);
        screens.push(own);
    }
    for topic in TOPICS {
        let (status, _) = api.put(&format!("/v1/topics/{topic}"), &json!({})).await;
        assert_eq!(status, StatusCode::OK);
    }
    let model = Model { people: vec![BTreeMap::new(); PEOPLE], ..Model::default() };
    let mut world = World { api, process, model, tokens, screens, dice: Dice(seed), named: 0, concerned: BTreeSet::new() };
    for step in 0..steps {
        if step > 0 && step % 200 == 0 {
            world.kill().await;
            for (person, token) in world.tokens.iter_mut().enumerate() {
                *token = world.api.token(&name(person)).await; // they live for 15 minutes
            }
        }
        world.step().await;
        if step % 20 == 0 {
            world.concerned.extend(0..PEOPLE);
            world.check_lists().await;
        }
        world.check().await;
    }
    world.check_lists().await;
}

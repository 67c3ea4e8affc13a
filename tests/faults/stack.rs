//! Servers and processes to spoil: Redis, PostgreSQL, a mail server, an SMS gateway, and Stentor in several processes.

use stentor_testkit::{MailServer, Postgres, RedisServer, SmsGateway};
use stentor_tests::{
    Api,
    serve::{Process, bank, settings},
};

pub struct Stack {
    pub redis: RedisServer,
    pub postgres: Postgres,
    pub mail: MailServer,
    pub sms: SmsGateway,
    pub api: Api,
    pub processes: Vec<Process>,
    mail_port: u16,
    sms_port: u16,
}

impl Stack {
    /// Servers without a process of Stentor.
    pub fn servers() -> Self {
        let (redis, postgres) = (RedisServer::start(), Postgres::start());
        let (mail, sms) = (MailServer::start(), SmsGateway::start());
        let (mail_port, sms_port) = (mail.port(), sms.port());
        let api = Api::new("", "");
        Self { redis, postgres, mail, sms, api, processes: Vec::new(), mail_port, sms_port }
    }

    /// All servers, and a process for each of `roles`, the first of which has the API.
    pub async fn start(roles: &[&str]) -> Self {
        let mut stack = Self::servers();
        for roles in roles {
            stack.add(roles).await;
        }
        stack
    }

    /// Mail and SMS go to these ports instead.
    pub fn through(self, mail_port: u16, sms_port: u16) -> Self {
        Self { mail_port, sms_port, ..self }
    }

    /// Adds a process.
    pub async fn add(&mut self, roles: &str) {
        self.add_with(roles, &[]).await;
    }

    /// Adds a process with further variables in its environment.
    pub async fn add_with(&mut self, roles: &str, environment: &[(&str, &str)]) {
        let mail = format!("smtp://127.0.0.1:{}?tls=none", self.mail_port);
        let sms = format!("http://127.0.0.1:{}/send?to={{{{to}}}}&text={{{{text}}}}", self.sms_port);
        let more = [
            ("STENTOR__ROLES", roles),
            ("STENTOR__EMAIL__PROVIDERS", "main"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &mail),
            ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
            ("STENTOR__SMS__PROVIDERS", "gw"),
            ("STENTOR__SMS__PROVIDER__GW__URL", &sms),
            ("STENTOR__SMS__PROVIDER__GW__DEADLINE_MS", "2000"),
        ];
        let more: Vec<_> = more.iter().chain(environment).copied().collect();
        let settings = settings(&self.redis.url(), &self.postgres.url(), &more);
        if self.processes.is_empty() {
            self.api = bank(&settings);
        }
        self.processes.push(Process::start(&settings).await);
    }
}

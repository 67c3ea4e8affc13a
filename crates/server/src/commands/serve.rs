//! `stentor serve`: the roles of the configuration.

use clap::Args;

use crate::{
    config::{Config, Role},
    logging, shutdown, wiring,
};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What this process does, separated by commas: api, gateway, worker, bounce. Default: as configured
    #[arg(long, value_delimiter = ',')]
    roles: Vec<Role>,
}

impl clap::ValueEnum for Role {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Api, Self::Gateway, Self::Worker, Self::Bounce]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let name = match self {
            Self::Api => "api",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Bounce => "bounce",
        };
        Some(clap::builder::PossibleValue::new(name))
    }
}

impl Serve {
    pub(crate) async fn run(self, mut config: Config) -> anyhow::Result<()> {
        if !self.roles.is_empty() {
            config.roles = self.roles;
        }
        logging::start(&config.log)?;
        let stop = shutdown::on_signal()?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        wiring::serve(config, stop, metrics, |_| axum::Router::new(), async |_| Ok(())).await
    }
}

//! What an operator can set: one schema for flags, environment and file, in that order of weight.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::limits::{Choice, Chosen};
use crate::listen::Listen;
use crate::values::{BasePath, Half, HostName, LogFormat, Origin, PortRange, Secret, Size, User};

/// `twocan serve`: each setting is a flag, a variable `TWOCAN_…` and a key of the file. Where two are given, the flag
/// outweighs the variable, and the variable the file.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Page, signaling (/v1) and /healthz [default: 127.0.0.1:8080]
    #[arg(long, env = "TWOCAN_HTTP", value_name = "ADDR")]
    pub http: Option<SocketAddr>,

    /// Path below which page and signaling are served as well, such as `/twocan`, where a proxy leaves it in what it passes on
    #[arg(long, env = "TWOCAN_BASE_PATH", value_name = "PATH")]
    pub base_path: Option<BasePath>,

    /// STUN and TURN on UDP and TCP; repeatable [default: 127.0.0.1:3478]
    #[arg(long, env = "TWOCAN_TURN", value_name = "ADDR", value_delimiter = ',')]
    pub turn: Vec<SocketAddr>,

    /// TURN over TLS; repeatable; needs --tls-cert and --tls-key
    #[arg(long, env = "TWOCAN_TURNS", value_name = "ADDR", value_delimiter = ',')]
    pub turns: Vec<SocketAddr>,

    /// Second address for behaviour discovery (RFC 5780): another IP address and another port than --turn; one per family
    #[arg(long, env = "TWOCAN_ALTERNATE", value_name = "ADDR", value_delimiter = ',')]
    pub alternate: Vec<SocketAddr>,

    /// Certificate chain for --turns, PEM
    #[arg(long, env = "TWOCAN_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key for --turns, PEM
    #[arg(long, env = "TWOCAN_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Name by which pages are to reach --turns, as in its certificate [default: the one by which they reached this server]
    #[arg(long, env = "TWOCAN_TURNS_HOST", value_name = "NAME")]
    pub turns_host: Option<HostName>,

    /// Listen on all addresses (0.0.0.0 and ::) instead of loopback, where no address is given
    #[arg(long, env = "TWOCAN_PUBLIC")]
    pub public: bool,

    /// Address to advertise in relayed candidates; repeatable, one per family
    #[arg(long, env = "TWOCAN_EXTERNAL_IP", value_name = "IP", value_delimiter = ',')]
    pub external_ip: Vec<IpAddr>,

    /// Ports of relayed candidates [default: 49152-65535]
    #[arg(long, env = "TWOCAN_RELAY_PORTS", value_name = "A-B")]
    pub relay_ports: Option<PortRange>,

    /// Realm of the relay's credentials [default: twocan]
    #[arg(long, env = "TWOCAN_REALM", value_name = "NAME")]
    pub realm: Option<String>,

    /// A static user of the relay, who may reach any public address; repeatable
    #[arg(long, env = "TWOCAN_TURN_USER", value_name = "U:P", value_delimiter = ',', hide_env_values = true)]
    pub turn_user: Vec<User>,

    /// Shared secret of time-limited credentials (user name `expiry:id`, password = base64 HMAC-SHA1)
    #[arg(long, env = "TWOCAN_TURN_SECRET", value_name = "S", hide_env_values = true)]
    pub turn_secret: Option<Secret>,

    /// Peers that may be relayed to although the built-in policy denies them; repeatable
    #[arg(long, env = "TWOCAN_ALLOW_PEER", value_name = "CIDR", value_delimiter = ',')]
    pub allow_peer: Vec<String>,

    /// Peers that may not be relayed to; repeatable
    #[arg(long, env = "TWOCAN_DENY_PEER", value_name = "CIDR", value_delimiter = ',')]
    pub deny_peer: Vec<String>,

    /// Threads of the relay [default: one per core]
    #[arg(long, env = "TWOCAN_RELAY_THREADS", value_name = "N")]
    pub relay_threads: Option<NonZeroUsize>,

    /// Pages allowed to open the signaling socket: `https://play.example`, `https://*.play.example`, `tauri://localhost`, `null`, `*`;
    /// repeatable [default: the server's own page, and pages of this machine where it is reached as localhost]
    #[arg(long, env = "TWOCAN_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub origin: Vec<Origin>,

    /// Reverse proxy whose X-Forwarded-For tells the client's address; repeatable
    #[arg(long, env = "TWOCAN_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,

    /// Where /metrics is served; the same address as --http serves it beside the page [default: beside the page, as long as that is
    /// for this machine alone]
    #[arg(long, env = "TWOCAN_METRICS", value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,

    /// Folder for what outlives the process: the secret that credentials and tickets are made from, where --turn-secret gives none
    /// [default: $STATE_DIRECTORY, or ~/.local/state/twocan]
    #[arg(long, env = "TWOCAN_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Memory that the tables of sockets, sessions, lobbies and relayed connections are made for, such as 2G [default: 512M]
    #[arg(long, env = "TWOCAN_MEMORY", value_name = "SIZE")]
    pub memory: Option<Size>,

    /// Seconds that a member's seat in a lobby waits once its device sleeps or has no network [default: 600]
    #[arg(long, env = "TWOCAN_AWAY", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub away: Option<u64>,

    /// A limit that is to be another one, such as `sessions-per-household=1000`; repeatable; `--print-config` shows all of them, docs/limits.md
    /// says what they cost. In the file: `[limits]`
    #[arg(long, env = "TWOCAN_LIMIT", value_name = "NAME=N", value_delimiter = ',')]
    #[serde(skip)]
    pub limit: Vec<Choice>,

    /// Those of the file.
    #[arg(skip)]
    pub limits: Chosen,

    /// Run one half only
    #[arg(long, env = "TWOCAN_ONLY", value_name = "HALF")]
    pub only: Option<Half>,

    /// How the log is written: text, or an object of JSON on each line [default: text]
    #[arg(long, env = "TWOCAN_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// Settings in TOML, with the names of these flags
    #[arg(long, env = "TWOCAN_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Say whether the server would start with these settings, and end
    #[arg(long)]
    #[serde(skip)]
    pub check_config: bool,

    /// Print the settings that are in force, as a file for --config, and end; secrets are left out
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

/// The realm of the relay where none is said.
pub const REALM: &str = "twocan";

/// The variable that is read though it is no flag of `serve`: what to log.
pub const LOG_VARIABLE: &str = "TWOCAN_LOG";

/// What `twocan lab run` tells the programs that it starts, ourselves perhaps: the server's URL, and on which side they are.
pub const LAB_VARIABLES: [&str; 2] = ["TWOCAN_SERVER", "TWOCAN_SIDE"];

impl Settings {
    /// These settings over those of the file they name, if they name one.
    pub fn with_file(self) -> anyhow::Result<Settings> {
        let Some(path) = self.config.clone() else { return Ok(self.over(Settings::default())) };
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.over(Settings::from_toml(&text, &path)?))
    }

    /// Ports of relayed candidates (RFC 6335 6: the dynamic ones, where none are said).
    pub fn relay_range(&self) -> RangeInclusive<u16> {
        self.relay_ports.as_ref().map_or(49_152..=65_535, |range| range.0.clone())
    }

    /// What is in force, as a file has it. Secrets are not told: where one is set, a remark says so.
    pub fn print(&self, listen: &Listen) -> String {
        // What JSON writes of texts, numbers and lists of texts is TOML, too.
        use serde_json::Value;
        fn list<T: ToString>(all: &[T]) -> Value {
            all.iter().map(ToString::to_string).collect::<Vec<_>>().into()
        }
        fn word(value: impl clap::ValueEnum) -> Option<Value> {
            Some(value.to_possible_value()?.get_name().into())
        }
        let text = |value: Option<String>| value.map(Value::from);
        let path = |path: &Option<PathBuf>| text(path.as_ref().map(|path| path.display().to_string()));
        let number = |number: Option<u64>| number.map(Value::from);
        // Of several, as --public makes them, the file names none: it says `public`.
        let http = self.http.or(listen.http.first().copied().filter(|_| !self.public));
        let turn = if self.public && self.turn.is_empty() { &[] } else { listen.turn.as_slice() };
        let ports = self.relay_range();
        let all = [
            ("http", text(http.map(|address| address.to_string()))),
            ("public", Some(self.public.into())),
            ("base-path", text(self.base_path.as_ref().map(|path| path.0.clone()))),
            ("turn", Some(list(turn))),
            ("turns", Some(list(&self.turns))),
            ("alternate", Some(list(&self.alternate))),
            ("tls-cert", path(&self.tls_cert)),
            ("tls-key", path(&self.tls_key)),
            ("turns-host", text(self.turns_host.as_ref().map(|name| name.0.clone()))),
            ("external-ip", Some(list(&self.external_ip))),
            ("relay-ports", text(Some(format!("{}-{}", ports.start(), ports.end())))),
            ("realm", text(Some(self.realm.clone().unwrap_or_else(|| REALM.to_owned())))),
            ("allow-peer", Some(list(&self.allow_peer))),
            ("deny-peer", Some(list(&self.deny_peer))),
            ("relay-threads", number(self.relay_threads.map(|threads| threads.get() as u64))),
            ("origin", Some(list(&self.origin.iter().map(|origin| &origin.0).collect::<Vec<_>>()))),
            ("trusted-proxy", Some(list(&self.trusted_proxy))),
            ("metrics", text(self.metrics.map(|address| address.to_string()))),
            ("state", path(&self.state)),
            ("memory", text(self.memory.map(|size| size.0.to_string()))),
            ("away", number(self.away)),
            ("only", self.only.and_then(word)),
            ("log-format", self.log_format.and_then(word)),
        ];
        let lines = all.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}\n", value?)));
        let mut told: String = lines.collect();
        for (key, is_set) in
            [("turn-user", !self.turn_user.is_empty()), ("turn-secret", self.turn_secret.is_some())]
        {
            if is_set {
                told.push_str(&format!("# {key} is set, and not told\n"));
            }
        }
        told
    }

    fn from_toml(text: &str, path: &Path) -> anyhow::Result<Settings> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text[..start].matches('\n').count();
            anyhow::anyhow!("{}, line {line}: {}", path.display(), error.message())
        })
    }

    /// Each setting of `self`, or of `base` where `self` says nothing.
    fn over(self, base: Settings) -> Settings {
        fn list<T>(own: Vec<T>, base: Vec<T>) -> Vec<T> {
            if own.is_empty() { base } else { own }
        }
        Settings {
            http: self.http.or(base.http),
            base_path: self.base_path.or(base.base_path),
            turn: list(self.turn, base.turn),
            turns: list(self.turns, base.turns),
            alternate: list(self.alternate, base.alternate),
            tls_cert: self.tls_cert.or(base.tls_cert),
            tls_key: self.tls_key.or(base.tls_key),
            turns_host: self.turns_host.or(base.turns_host),
            public: self.public || base.public,
            external_ip: list(self.external_ip, base.external_ip),
            relay_ports: self.relay_ports.or(base.relay_ports),
            realm: self.realm.or(base.realm),
            turn_user: list(self.turn_user, base.turn_user),
            turn_secret: self.turn_secret.or(base.turn_secret),
            allow_peer: list(self.allow_peer, base.allow_peer),
            deny_peer: list(self.deny_peer, base.deny_peer),
            relay_threads: self.relay_threads.or(base.relay_threads),
            origin: list(self.origin, base.origin),
            trusted_proxy: list(self.trusted_proxy, base.trusted_proxy),
            metrics: self.metrics.or(base.metrics),
            state: self.state.or(base.state),
            memory: self.memory.or(base.memory),
            away: self.away.or(base.away),
            limits: base.limits.with(&self.limit),
            limit: Vec::new(),
            only: self.only.or(base.only),
            log_format: self.log_format.or(base.log_format),
            config: self.config,
            check_config: self.check_config,
            print_config: self.print_config,
        }
    }
}

/// Refuses a variable `TWOCAN_…` that means nothing: a slip of the pen should not pass for a setting.
pub fn check_variables(variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<()> {
    let command = <Settings as clap::Args>::augment_args(clap::Command::new("serve"));
    let known = |name: &str| {
        name == LOG_VARIABLE
            || LAB_VARIABLES.contains(&name)
            || command.get_arguments().any(|argument| argument.get_env().is_some_and(|env| env == name))
    };
    for (name, value) in variables {
        if name.starts_with("TWOCAN_") && !known(&name) && !is_of_kubernetes(&name, &value) {
            bail!("the environment variable {name} is not a setting of twocan (see `twocan serve --help`)");
        }
    }
    Ok(())
}

/// What Kubernetes sets in every container beside a service called `twocan`: `TWOCAN_SERVICE_HOST`, `TWOCAN_SERVICE_PORT_HTTP`,
/// `TWOCAN_PORT` (`tcp://10.0.0.1:80`), `TWOCAN_PORT_80_TCP_ADDR`.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    match name {
        "TWOCAN_SERVICE_HOST" | "TWOCAN_SERVICE_PORT" => true,
        "TWOCAN_PORT" => value.contains("://"),
        _ => ["TWOCAN_SERVICE_PORT_", "TWOCAN_PORT_"].iter().any(|start| name.starts_with(start)),
    }
}

/// Whether an argument, as the library names it (`--turn-secret <S>`), holds a secret.
pub fn is_secret(argument: &str) -> bool {
    let command = <Settings as clap::Args>::augment_args(clap::Command::new("serve"));
    command
        .get_arguments()
        .filter(|known| known.is_hide_env_values_set())
        .filter_map(clap::Arg::get_long)
        .any(|long| argument.trim_start_matches('-').split(' ').next() == Some(long))
}

/// What `TWOCAN_LOG` says: a level, or levels by module. A bare word that is no level would be taken for a module, and silence
/// all others.
pub fn log_filter(text: &str) -> anyhow::Result<Targets> {
    let is_plain = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_plain));
    filter.with_context(|| {
        format!(
            "{LOG_VARIABLE}={text}: neither a level (off, error, warn, info, debug, trace) nor levels by module, as in \
             info,twocan_relay=debug"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> anyhow::Result<Settings> {
        Settings::from_toml(text, Path::new("twocan.toml"))
    }

    #[test]
    fn a_file_says_the_same_as_flags() {
        let file =
            toml("http = '0.0.0.0:80'\nturn = ['[::]:3478']\nrelay-ports = '50000-50100'\nonly = 'relay'")
                .unwrap();
        assert_eq!(file.http, Some("0.0.0.0:80".parse().unwrap()));
        assert_eq!(file.turn, ["[::]:3478".parse().unwrap()]);
        assert_eq!(file.relay_ports, Some(PortRange(50000..=50100)));
        assert_eq!(file.only, Some(Half::Relay));
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        let file = toml(
            "http = '127.0.0.1:80'\nturn = ['[::1]:3478', '127.0.0.1:3478']\norigin = ['https://a.example', 'null']\n\
             trusted-proxy = ['10.0.0.0/8']\nbase-path = '/twocan'\nmemory = '1G'\naway = 60\nonly = 'relay'\n\
             turn-user = ['ada:of-nobody-else']\nlog-format = 'json'\nrelay-threads = 3\n[limits]\nsessions = 5000\n",
        )
        .unwrap();
        let listen = Listen::new(&file, |_| None).unwrap();
        let printed = file.print(&listen);
        assert!(!printed.contains("of-nobody-else") && printed.contains("# turn-user is set"), "{printed}");
        let read = toml(&printed).unwrap();
        let known = Settings {
            turn_user: Vec::new(),
            relay_ports: Some(PortRange(49_152..=65_535)),
            realm: Some(REALM.to_owned()),
            limits: Chosen::default(),
            ..file
        };
        assert_eq!(read, known);
    }

    #[test]
    fn limits_of_the_command_line_outweigh_those_of_the_file() {
        let flags = Settings { limit: vec!["sessions=7000".parse().unwrap()], ..Settings::default() };
        let merged = flags.over(toml("[limits]\nsessions = 5000\nlobbies = 3000\n").unwrap());
        assert_eq!(merged.limits, toml("[limits]\nsessions = 7000\nlobbies = 3000\n").unwrap().limits);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let error = toml("realm = 'north'\n\nhtpp = '0.0.0.0:80'\n").unwrap_err().to_string();
        assert!(error.starts_with("twocan.toml, line 3: unknown field `htpp`"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_an_error_with_its_line() {
        let error = toml("realm = 'north'\nrelay-ports = '5'\n").unwrap_err().to_string();
        assert!(error.starts_with("twocan.toml, line 2: `5` is not a range of ports"), "{error}");
    }

    #[test]
    fn a_flag_outweighs_the_file_and_the_file_fills_the_gaps() {
        let flags = Settings { realm: Some("flag".into()), ..Settings::default() };
        let merged =
            flags.over(toml("realm = 'file'\npublic = true\norigin = ['https://a.example']").unwrap());
        assert_eq!(merged.realm.as_deref(), Some("flag"));
        assert!(merged.public);
        assert_eq!(merged.origin, [Origin("https://a.example".to_owned())]);
    }

    #[test]
    fn a_variable_that_means_nothing_is_refused() {
        let names =
            |list: &[&str]| check_variables(list.iter().map(|&name| (name.to_owned(), "x".to_owned())));
        assert!(names(&["TWOCAN_HTTP", "TWOCAN_LOG", "PATH"]).is_ok());
        assert!(names(&["TWOCAN_HTPP"]).unwrap_err().to_string().contains("TWOCAN_HTPP"));
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_this_name_does_not_stop_the_start() {
        let set = [
            ("TWOCAN_SERVICE_HOST", "10.0.0.11"),
            ("TWOCAN_SERVICE_PORT", "8080"),
            ("TWOCAN_SERVICE_PORT_HTTP", "8080"),
            ("TWOCAN_PORT", "tcp://10.0.0.11:8080"),
            ("TWOCAN_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("TWOCAN_PORT_8080_TCP_PROTO", "tcp"),
            ("TWOCAN_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ];
        let check = |list: &[(&str, &str)]| {
            check_variables(list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
        };
        assert!(check(&set).is_ok());
        assert!(check(&[("TWOCAN_PORT", "8080")]).is_err(), "a person meant that");
        assert!(check(&[("TWOCAN_SERVICE", "x")]).is_err());
    }

    #[test]
    fn arguments_that_hold_secrets_are_known() {
        assert!(is_secret("--turn-secret <S>") && is_secret("--turn-user <U:P>"));
        assert!(!is_secret("--http <ADDR>") && !is_secret(""));
    }

    #[test]
    fn a_log_filter_is_a_level_or_levels_by_module() {
        for good in ["off", "info", "DEBUG", "info,twocan_relay=debug", "twocan_signaling=trace"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "info,verbose", "twocan_relay=loud", "a=b=info"] {
            let error = log_filter(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("TWOCAN_LOG={bad}: ")), "{error}");
        }
    }
}

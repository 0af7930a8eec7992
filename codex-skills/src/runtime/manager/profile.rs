//! Where a codex-manager is and how it is spoken to: profile file, environment and code, in rising
//! precedence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Why the settings of a codex-manager cannot be used.
///
/// ```
/// // A profile file that is not there has the profile `local`, and no other.
/// let client = codex_skills::CodexManager::builder()
///     .profile_path("/no/such/file.json")
///     .profile("production")
///     .build();
/// println!("{}", client.map(drop).unwrap_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The profile file cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The profile file is malformed.
    #[error("{}: at `{key}`: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no profile of this name.
    #[error("{}: there is no profile `{name}`; there are {known:?}", .path.display())]
    UnknownProfile {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A setting has a value that cannot be used.
    #[error("{origin}: `{value}` is no good: {reason}")]
    Invalid {
        /// The variable, the key of the file, or the method.
        origin: String,
        /// The value; secrets are not shown.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The settings of a client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) base_url: String,
    pub(crate) api_prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) bearer: Option<String>,
    pub(crate) rbac_token: Option<String>,
    pub(crate) rbac_role: Option<String>,
    pub(crate) rbac_actor: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:3001".to_owned(),
            api_prefix: "/api".to_owned(),
            timeout: Duration::from_secs(30),
            headers: BTreeMap::new(),
            bearer: None,
            rbac_token: None,
            rbac_role: None,
            rbac_actor: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |value: &Option<String>| value.as_ref().map(|_| "…");
        f.debug_struct("Settings")
            .field("base_url", &shown(&self.base_url))
            .field("api_prefix", &self.api_prefix)
            .field("timeout", &self.timeout)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("bearer", &secret(&self.bearer))
            .field("rbac_token", &secret(&self.rbac_token))
            .field("rbac_role", &self.rbac_role)
            .field("rbac_actor", &self.rbac_actor)
            .finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    current_profile: Option<String>,
    profiles: Option<BTreeMap<String, Option<Profile>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    base_url: Option<String>,
    api_prefix: Option<String>,
    timeout_ms: Option<f64>,
    headers: Option<BTreeMap<String, Option<String>>>,
    auth: Option<Auth>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    bearer: Option<String>,
    rbac_token: Option<String>,
    role: Option<String>,
    actor: Option<String>,
}

impl Settings {
    /// Whether requests carry what others should not read.
    pub(crate) fn has_secrets(&self) -> bool {
        let has_password = reqwest::Url::parse(&self.base_url)
            .is_ok_and(|url| url.password().is_some() || !url.username().is_empty());
        self.bearer.is_some()
            || self.rbac_token.is_some()
            || !self.headers.is_empty()
            || has_password
    }
}

/// A variable of the environment by name.
pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// The settings of a profile: `None` is the file's current one. A missing file has the default
    /// profile `local` only.
    pub(crate) fn of_profile(name: Option<&str>, path: &Path) -> Result<Self, ProfileError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match name {
                    None | Some("local") => Ok(Self::default()),
                    Some(name) => Err(ProfileError::UnknownProfile {
                        path: path.to_owned(),
                        name: name.to_owned(),
                        known: vec!["local".to_owned()],
                    }),
                };
            }
            Err(source) => {
                return Err(ProfileError::Unreadable {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let file: File = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            ProfileError::Malformed {
                path: path.to_owned(),
                key: error.path().to_string(),
                reason: error.inner().to_string(),
            }
        })?;
        let name = name
            .map(str::to_owned)
            .or(file.current_profile)
            .unwrap_or_else(|| "local".to_owned());
        let mut profiles = file.profiles.unwrap_or_default();
        let known: Vec<String> = profiles.keys().cloned().collect();
        let Some(profile) = profiles.remove(&name) else {
            if name == "local" {
                return Ok(Self::default());
            }
            return Err(ProfileError::UnknownProfile {
                path: path.to_owned(),
                name,
                known,
            });
        };
        let mut settings = Self::default();
        // What is null was not set.
        settings.apply(
            profile.unwrap_or_default(),
            &format!("{}: profiles.{name}", path.display()),
        )?;
        Ok(settings)
    }

    fn apply(&mut self, profile: Profile, origin: &str) -> Result<(), ProfileError> {
        if let Some(url) = profile.base_url {
            self.base_url = base_url(&url, &format!("{origin}.baseUrl"))?;
        }
        if let Some(prefix) = profile.api_prefix {
            self.api_prefix = api_prefix(&prefix);
        }
        if let Some(millis) = profile.timeout_ms {
            self.timeout = timeout(millis, &format!("{origin}.timeoutMs"))?;
        }
        let headers = profile.headers.unwrap_or_default().into_iter();
        self.headers = headers
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let auth = profile.auth.unwrap_or_default();
        // As for codex-manager's own command line, a blank is none.
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        (self.bearer, self.rbac_token) = (given(auth.bearer), given(auth.rbac_token));
        (self.rbac_role, self.rbac_actor) = (given(auth.role), given(auth.actor));
        Ok(())
    }

    /// Lets the environment have its say.
    pub(crate) fn with_env(mut self, variable: Variable<'_>) -> Result<Self, ProfileError> {
        let get = |name: &str| {
            let name = format!("CODEX_MANAGER_{name}");
            let value = variable(&name).filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        };
        if let Some((name, url)) = get("API_BASE") {
            self.base_url = base_url(&url, &name)?;
        }
        if let Some((_, prefix)) = get("API_PREFIX") {
            self.api_prefix = api_prefix(&prefix);
        }
        if let Some((name, value)) = get("TIMEOUT_MS") {
            let millis = value.trim().parse().map_err(|_| ProfileError::Invalid {
                origin: name.clone(),
                value: value.clone(),
                reason: "it is a number of milliseconds".to_owned(),
            })?;
            self.timeout = timeout(millis, &name)?;
        }
        for (name, field) in [
            ("BEARER_TOKEN", &mut self.bearer),
            ("RBAC_TOKEN", &mut self.rbac_token),
            ("RBAC_ROLE", &mut self.rbac_role),
            ("RBAC_ACTOR", &mut self.rbac_actor),
        ] {
            if let Some((_, value)) = get(name) {
                *field = Some(value);
            }
        }
        Ok(self)
    }
}

/// The profile file that codex-manager's own command line uses.
pub(crate) fn default_path(variable: Variable<'_>) -> PathBuf {
    let config = variable("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")))
        .unwrap_or_else(|| PathBuf::from(".config"));
    config.join("codex-manager/cli/config.json")
}

pub(crate) fn base_url(url: &str, origin: &str) -> Result<String, ProfileError> {
    let invalid = |reason: String| ProfileError::Invalid {
        origin: origin.to_owned(),
        value: shown(url),
        reason,
    };
    let parsed = reqwest::Url::parse(url.trim()).map_err(|error| invalid(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(invalid(
            "it is written like `http://127.0.0.1:3001`".to_owned(),
        ));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(invalid("it has nothing after its path".to_owned()));
    }
    Ok(url.trim().trim_end_matches('/').to_owned())
}

/// An address without what may be secret in it.
pub(crate) use crate::runtime::peer::address as shown;

pub(crate) fn api_prefix(prefix: &str) -> String {
    match prefix.trim().trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    }
}

fn timeout(millis: f64, origin: &str) -> Result<Duration, ProfileError> {
    let invalid = |reason: &str| ProfileError::Invalid {
        origin: origin.to_owned(),
        value: millis.to_string(),
        reason: reason.to_owned(),
    };
    if millis < 1.0 {
        return Err(invalid("no request is answered in no time"));
    }
    Duration::try_from_secs_f64(millis.floor() / 1000.0)
        .map_err(|_| invalid("it is a number of milliseconds"))
}

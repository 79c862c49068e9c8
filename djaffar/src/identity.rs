//! From the settings about users to what ingest's authenticators take.

use ingest::identity::{AccountsConfig, DjangoConfig, IdentityConfig, IdentityDatabase, TokenConfig};
use shared::secret::Secret;

use crate::cli::IdentityArguments;
use crate::failure::Failure;
use crate::settings::django::DjangoSettings;
use crate::settings::token::TokenSettings;

/// What [`IdentityConfig::check`] has not judged yet.
pub(crate) fn configure(arguments: &IdentityArguments) -> Result<IdentityConfig, Failure> {
    let IdentityArguments { django, site, token, jwt, look_up } = arguments;
    let database = open("django-database", django.database()?)?;
    let json_web_tokens = jwt.config(django.secret_key()?.as_ref())?;
    let are_djangos = json_web_tokens.as_ref().is_some_and(|jwt| jwt.preset.is_some());
    // The key of the site's tokens needs no database.
    let key_alone = are_djangos && database.is_none();
    let config = IdentityConfig {
        accounts: database.clone().map(|database| AccountsConfig {
            database,
            table: django.django_user_table.clone(),
            key: django.django_user_key.clone(),
        }),
        django: if key_alone { None } else { sessions(django, database.as_ref())? },
        site: site.config(django.csrf())?,
        tokens: tokens(token, database.as_ref())?,
        json_web_tokens,
        forwarded_user_header: look_up.forwarded_user_header.clone(),
        look_up: look_up.config(),
    };
    if database.is_some() && config.django.is_none() && config.tokens.is_empty() && !are_djangos {
        return Err(Failure::misconfigured(
            "django-database is set, but nothing asks it; add django-secret-key (the site's SECRET_KEY) for its \
             sessions, or token-preset for its tokens",
        ));
    }
    Ok(config)
}

fn sessions(
    settings: &DjangoSettings,
    database: Option<&IdentityDatabase>,
) -> Result<Option<DjangoConfig>, Failure> {
    let secret_key_fallbacks = settings.secret_key_fallbacks()?;
    let Some(secret_key) = settings.secret_key()? else {
        if secret_key_fallbacks.is_empty() {
            return Ok(None);
        }
        return Err(Failure::misconfigured(
            "django-secret-key-fallbacks are set without django-secret-key; name the key that the site signs with",
        ));
    };
    let Some(database) = database else {
        return Err(Failure::misconfigured(
            "django-secret-key is set without django-database; name the database that holds the site's sessions \
             and users",
        ));
    };
    Ok(Some(DjangoConfig {
        database: database.clone(),
        secret_key,
        secret_key_fallbacks,
        session_cookie_name: settings.django_session_cookie_name.clone(),
        session_table: settings.django_session_table.clone(),
        session_class: settings.django_session_class.clone(),
        backends: settings.django_auth_backends.clone(),
        csrf: settings.csrf(),
        csrf_cookie_name: settings.django_csrf_cookie_name.clone(),
        begun_per_second_max: settings.django_sessions_per_second,
    }))
}

fn tokens(settings: &TokenSettings, django: Option<&IdentityDatabase>) -> Result<Vec<TokenConfig>, Failure> {
    let own = open("token-database", settings.database()?)?;
    let query = settings.query();
    if own.is_some() && query.is_none() {
        return Err(Failure::misconfigured(
            "token-database is set without token-query; write the query that finds a token's user",
        ));
    }
    let in_database = |source, database: Option<&IdentityDatabase>, remedy: &str| match database {
        Some(database) => Ok(TokenConfig { source, database: database.clone() }),
        None => Err(Failure::misconfigured(format!("{remedy} needs a database that holds the tokens"))),
    };
    let presets = settings
        .presets()
        .into_iter()
        .map(|source| in_database(source, django, "token-preset is set without django-database; it"));
    let query = query.map(|source| {
        in_database(source, own.as_ref().or(django), "token-query is set without token-database; it")
    });
    presets.chain(query).collect()
}

fn open(setting: &str, url: Option<Secret>) -> Result<Option<IdentityDatabase>, Failure> {
    let database = url.map(|url| IdentityDatabase::new(&url)).transpose();
    database.map_err(|error| Failure::misconfigured(format!("{setting} {error}")))
}

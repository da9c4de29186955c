//! Who may do what, in memory: read from the state when it has changed, so that a request costs no
//! query.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::access::{DATA_PACKAGE, Held, Means, Reach, Resource, ResourceType, TABLE, role};
use domain::people::{ADMINS, EVERYONE};
use domain::restriction::Extent;
use domain::{DataPackage, Digest, Grant, Permission, Principal, Token, TokenKind, User};
use uuid::Uuid;
use warehouse::{Catalog, CatalogTable, Scope, State, StateError};

/// More tokens than are used at one time; beyond it the cache starts anew.
const MOST_TOKENS: usize = 20_000;
/// More sets of groups than are active at one time.
const MOST_SCOPES: usize = 1_000;

/// A user as requests need it.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) is_admin: bool,
    groups: Arc<[Uuid]>,
    reach: Arc<Reach>,
}

/// All users at one moment.
#[derive(Debug, Default)]
struct Snapshot {
    /// What the state counted when this was read.
    version: u64,
    people: HashMap<Uuid, Arc<Person>>,
}

/// A token that was used before.
#[derive(Debug)]
pub(crate) struct KnownToken {
    pub(crate) token: Token,
    /// The second in which its last use was noted; of one that was never used, that of its beginning.
    used: AtomicI64,
    /// Whether any use was noted.
    noted: AtomicBool,
    /// Which state of the keys found its signature good; 0 for none yet.
    checked_by: AtomicU64,
}

impl KnownToken {
    /// Whether these keys have found the signature good before. A token is known by the sha256 of its
    /// whole text, so that there is nothing else that they could say now.
    pub(crate) fn is_checked_by(&self, keys: u64) -> bool {
        self.checked_by.load(Ordering::Relaxed) == keys
    }

    /// Remembers that these keys found the signature good, and the claims those of the token.
    pub(crate) fn set_checked_by(&self, keys: u64) {
        self.checked_by.store(keys, Ordering::Relaxed);
    }

    /// Seconds without a use, to the minute.
    pub(crate) fn idle_seconds(&self, now: i64) -> i64 {
        now - self.used.load(Ordering::Relaxed)
    }

    /// Whether this use is to be noted: the first, and then once a minute.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        let last = self.used.load(Ordering::Relaxed);
        let first = !self.noted.swap(true, Ordering::Relaxed);
        let swap = || {
            let (used, relaxed) = (&self.used, Ordering::Relaxed);
            used.compare_exchange(last, now, relaxed, relaxed).is_ok()
        };
        (first || now - last >= 60) && swap()
    }
}

/// A token and its user, if that is still there.
pub(crate) type Holder = (Arc<KnownToken>, Option<Arc<Person>>);

/// A set of groups, and what they were granted.
type Share = (Arc<[Uuid]>, Arc<Reach>);

/// The tokens that were used since the state counted so many changes of tokens.
type Tokens = (u64, HashMap<Digest, Arc<KnownToken>>);

/// The tables that a set of groups may read, and of which snapshot and catalogue that holds.
type Scopes = HashMap<Arc<[Uuid]>, (u64, u64, Scope)>;

/// Users, groups, grants and tokens as they are now.
#[derive(Debug)]
pub(crate) struct Directory {
    state: Arc<State>,
    snapshot: RwLock<Arc<Snapshot>>,
    tokens: RwLock<Tokens>,
    scopes: RwLock<Scopes>,
}

impl Directory {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            snapshot: RwLock::new(Arc::new(Snapshot {
                // Older than any: the first request reads.
                version: u64::MAX,
                people: HashMap::new(),
            })),
            tokens: RwLock::default(),
            scopes: RwLock::default(),
        }
    }

    /// Whether nothing has to be read to answer about this token.
    pub(crate) fn cached(&self, hash: &Digest) -> Option<Holder> {
        let snapshot = read(&self.snapshot);
        if snapshot.version != self.state.access_changes() {
            return None;
        }
        let version = self.state.token_changes();
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.1.get(hash).filter(|_| tokens.0 == version)?;
        let person = snapshot.people.get(&known.token.user).cloned();
        Some((Arc::clone(known), person))
    }

    /// A token and its user. Reads what has changed; blocks.
    pub(crate) fn find(&self, hash: &Digest) -> Result<Option<Holder>, StateError> {
        if let Some(found) = self.cached(hash) {
            return Ok(Some(found));
        }
        let version = self.state.token_changes();
        let Some(token) = self.state.token(hash)? else {
            return Ok(None);
        };
        let person = self.person(token.user)?;
        let last = token.last_used_at.unwrap_or(token.created_at);
        let known = Arc::new(KnownToken {
            // One that was never used is due.
            noted: AtomicBool::new(token.last_used_at.is_some()),
            used: AtomicI64::new(last.as_second()),
            checked_by: AtomicU64::new(0),
            token,
        });
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.0 != version || tokens.1.len() >= MOST_TOKENS {
            *tokens = (version, HashMap::new());
        }
        tokens.1.insert(*hash, Arc::clone(&known));
        Ok(Some((known, person)))
    }

    /// A user as of now. Reads what has changed; blocks.
    pub(crate) fn person(&self, user: Uuid) -> Result<Option<Arc<Person>>, StateError> {
        Ok(self.current()?.people.get(&user).cloned())
    }

    fn current(&self) -> Result<Arc<Snapshot>, StateError> {
        let snapshot = read(&self.snapshot);
        if snapshot.version == self.state.access_changes() {
            return Ok(snapshot);
        }
        let mut held = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Before the reading: what changes meanwhile is read the next time.
        let version = self.state.access_changes();
        if held.version != version {
            *held = Arc::new(Snapshot {
                version,
                people: people(&self.state)?,
            });
        }
        Ok(Arc::clone(&held))
    }

    /// The tables that a principal may query.
    pub(crate) fn scope(&self, principal: &Principal, catalog: &Catalog) -> Scope {
        if principal.is_admin {
            return Scope::All;
        }
        let version = self.state.access_changes();
        let cached = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((changes, tables, scope)) = cached.get(&principal.groups)
            && (*changes, *tables) == (version, catalog.version)
        {
            return scope.clone();
        }
        drop(cached);
        let tables = catalog.tables.iter().filter_map(|table| {
            let extent = extent(principal, table)?;
            Some((table.name.folded(), extent))
        });
        let scope = Scope::only(tables);
        let mut cached = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MOST_SCOPES {
            cached.clear();
        }
        let entry = (version, catalog.version, scope.clone());
        cached.insert(Arc::clone(&principal.groups), entry);
        scope
    }
}

fn read(snapshot: &RwLock<Arc<Snapshot>>) -> Arc<Snapshot> {
    Arc::clone(&snapshot.read().unwrap_or_else(PoisonError::into_inner))
}

/// Everybody, with what their groups were granted.
fn people(state: &State) -> Result<HashMap<Uuid, Arc<Person>>, StateError> {
    let held = held(&state.grants()?, &state.packages()?);
    let mut groups: HashMap<Uuid, BTreeSet<Uuid>> = HashMap::new();
    for membership in state.memberships()? {
        groups
            .entry(membership.user)
            .or_default()
            .insert(membership.group);
    }
    // People in the same groups share one list.
    let mut lists: HashMap<BTreeSet<Uuid>, Share> = HashMap::new();
    let users = state.users()?.into_iter().map(|user| {
        let mut mine = groups.remove(&user.id).unwrap_or_default();
        mine.insert(EVERYONE);
        let is_admin = mine.contains(&ADMINS);
        let (groups, reach) = lists.entry(mine).or_insert_with_key(|mine| {
            let parts = mine.iter().filter_map(|group| held.get(group).cloned());
            (
                mine.iter().copied().collect(),
                Arc::new(Reach(parts.collect())),
            )
        });
        let person = Person {
            is_admin,
            groups: Arc::clone(groups),
            reach: Arc::clone(reach),
            user,
        };
        (person.user.id, Arc::new(person))
    });
    Ok(users.collect())
}

/// What each group was granted; a grant on a package is one on each of its tables.
fn held(grants: &[Grant], packages: &[DataPackage]) -> HashMap<Uuid, Arc<Held>> {
    let packages: HashMap<String, &DataPackage> = packages
        .iter()
        .map(|package| (package.name.to_ascii_lowercase(), package))
        .collect();
    let mut held: HashMap<Uuid, Held> = HashMap::new();
    for grant in grants {
        // A kind that this server does not know gives nothing.
        let Some(kind) = ResourceType::find(&grant.resource_type) else {
            continue;
        };
        let of_group = held.entry(grant.group).or_default();
        if let Some(restriction) = &grant.restriction {
            // On anything else there is none, and what is stored there gives nothing.
            if kind.key == TABLE && grant.permission == Permission::Read {
                of_group.add_part(&grant.resource_id, Arc::new(restriction.clone()));
            }
            continue;
        }
        of_group.add(grant.permission, kind.key, &grant.resource_id);
        if kind.key == DATA_PACKAGE
            && let Some(package) = packages.get(&grant.resource_id.to_ascii_lowercase())
        {
            for table in &package.tables {
                of_group.add(grant.permission, TABLE, table);
            }
        }
    }
    held.into_iter()
        .map(|(group, held)| (group, Arc::new(held)))
        .collect()
}

impl Person {
    /// The user, come in by this token.
    pub(crate) fn principal(&self, token: &Token) -> Principal {
        Principal {
            user: self.user.id,
            email: self.user.email.clone(),
            token: token.id,
            means: match token.kind {
                TokenKind::Session => Means::Session,
                TokenKind::Personal => Means::Token,
                TokenKind::Desktop => Means::Desktop,
            },
            scopes: token.scopes.clone(),
            is_admin: self.is_admin,
            groups: Arc::clone(&self.groups),
            reach: Arc::clone(&self.reach),
        }
    }

    /// The word that old clients show.
    pub(crate) fn role(&self) -> &'static str {
        role(self.is_admin)
    }
}

/// How much of a table the principal sees, if anything.
pub(crate) fn extent(principal: &Principal, table: &CatalogTable) -> Option<Extent> {
    principal.extent(table.name.as_str(), table.source.as_str())
}

/// Whether the principal may read all of a table: its files, its profile, and whatever else shows all rows.
pub(crate) fn may_read(principal: &Principal, table: &CatalogTable) -> bool {
    principal.may(
        Permission::Read,
        Resource::Table {
            name: table.name.as_str(),
            source: table.source.as_str(),
        },
    )
}

/// Whether the principal may run a source, and so see it and its runs.
pub(crate) fn may_run(principal: &Principal, source: &str) -> bool {
    principal.may(Permission::Run, Resource::Source(source))
}

//! Clients with known activities: they try again with the same id and date until the answer is clear.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::assemble::{Assembly, NotSynced};
use ingest::budget::Budget;
use shared::event::{Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent};
use shared::frame::{EncodedActivity, EncodedSender, Occurrence};
use uuid::Uuid;

use crate::faults::Fault;
use crate::trace::{Event, Number};
use crate::world::{World, locked};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// More would be the schema's fault, and the writer would wait for it to be mended.
const POISON_MAX: usize = 4;

/// What is known of an activity from outside.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) activity: Activity,
    pub(crate) poison: bool,
    /// Attempts that have reached a process.
    pub(crate) sent: u32,
    /// Of those: answered that the queue is full and does not have it.
    pub(crate) refused: u32,
    /// Answered with 2xx.
    pub(crate) accepted: bool,
}

/// Everything that was ever sent. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<BTreeMap<EventId, Entry>>>);

/// Where the clients find a process that takes requests; empty while there is none. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Entrance(Arc<Mutex<Option<Assembly>>>);

impl Entrance {
    pub(crate) fn open(&self, assembly: Option<Assembly>) {
        *locked(&self.0) = assembly;
    }

    fn assembly(&self) -> Option<Assembly> {
        locked(&self.0).clone()
    }
}

impl Journal {
    pub(crate) fn entries(&self) -> Vec<Entry> {
        locked(&self.0).values().cloned().collect()
    }

    fn poison(&self) -> usize {
        locked(&self.0).values().filter(|entry| entry.poison).count()
    }

    fn plan(&self, activity: &Activity, poison: bool) {
        let entry = Entry { activity: activity.clone(), poison, sent: 0, refused: 0, accepted: false };
        locked(&self.0).insert(activity.id, entry);
    }

    fn note(&self, request: &[Activity], note: impl Fn(&mut Entry)) {
        let mut entries = locked(&self.0);
        for activity in request {
            if let Some(entry) = entries.get_mut(&activity.id) {
                note(entry);
            }
        }
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) number: Number,
    pub(crate) world: World,
    pub(crate) journal: Journal,
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) budget: Budget,
}

/// As the endpoint for batches does: with two senders, this browser's session and nobody.
fn encoded(request: &[Activity]) -> Vec<EncodedActivity> {
    let sender = |session: Option<&SessionId>| {
        let Activity { ip_address, user_agent, .. } = &request[0];
        EncodedSender::of(session, None, *ip_address, user_agent)
    };
    let session = request.iter().find_map(|activity| activity.session_id.as_ref());
    let (ours, nobodys) = (sender(session), sender(None));
    let senders = request.iter().map(|activity| match activity.session_id {
        Some(_) => &ours,
        None => &nobodys,
    });
    EncodedActivity::all(request.iter().map(Occurrence::from).zip(senders))
}

enum Answer {
    Accepted,
    Full,
    Unclear,
}

impl Client {
    pub(crate) async fn run(self, requests: Vec<Vec<Activity>>) {
        for request in requests {
            self.world.sleep(self.world.plan().pause_between_requests.clone()).await;
            if self.world.strikes(Fault::SentTwice) {
                tokio::join!(self.insist(&request), self.insist(&request));
            } else {
                self.insist(&request).await;
            }
        }
    }

    /// The requests of this client, with what of them is poison already known.
    pub(crate) fn requests(&self, poison: impl Fn(EventId)) -> Vec<Vec<Activity>> {
        let plan = self.world.plan();
        let mut number = self.number * 100_000;
        let mut requests = Vec::new();
        for _ in 0..plan.requests_per_client {
            let activities = self.world.between(1..plan.activities_per_request_max + 1);
            let mut request = Vec::new();
            for _ in 0..activities {
                let activity = self.activity(number);
                number += 1;
                let poisonous = self.journal.poison() < POISON_MAX && self.world.strikes(Fault::Poison);
                if poisonous {
                    poison(activity.id);
                }
                self.journal.plan(&activity, poisonous);
                request.push(activity);
            }
            requests.push(request);
        }
        requests
    }

    fn activity(&self, number: Number) -> Activity {
        // Dates collide, ids do not.
        let date = |micros| EventDate::from_micros(micros).expect("a date of our century");
        let happened = 1_795_176_000_000_000 + self.world.between(0..50) as i64;
        let session = |session| SessionId::new(format!("{session:032x}")).expect("32 digits");
        Activity {
            id: EventId(Uuid::from_u64_pair(self.world.draw(|random| random.number()), number)),
            date: date(happened),
            received_at: date(happened + self.world.between(0..1000) as i64),
            session_id: (!number.is_multiple_of(7)).then(|| session(self.number)),
            user_id: None,
            ip_address: Some(ClientAddress::new(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            path: PagePath::new("p".repeat(self.world.between(1..200) as usize)).expect("a path"),
            referer: Referer::default(),
            user_agent: UserAgent::from_header(format!("client {}", self.number).as_bytes()),
        }
    }

    async fn insist(&self, request: &[Activity]) {
        loop {
            match self.attempt(request).await {
                Answer::Accepted => return,
                Answer::Full | Answer::Unclear if self.world.strikes(Fault::GivesUp) => {
                    self.world.tell(&Event::GivesUp { client: self.number });
                    return;
                }
                Answer::Full | Answer::Unclear => {}
            }
            self.world.sleep(10..2000).await;
        }
    }

    async fn attempt(&self, request: &[Activity]) -> Answer {
        let entrance = &self.entrances[self.world.between(0..self.entrances.len() as u64) as usize];
        let Some(assembly) = entrance.assembly() else {
            self.hears("refused");
            return Answer::Unclear;
        };
        let activities = request.len();
        let first = request[0].id.0.as_u64_pair().1;
        self.world.tell(&Event::Sends { client: self.number, first, activities });
        self.journal.note(request, |entry| entry.sent += 1);
        let patience = match self.world.strikes(Fault::HangsUp) {
            true => self.world.millis(0..100),
            false => PATIENCE,
        };
        let reservation = self.budget.reserve(0).expect("nothing is asked for");
        let committed = async {
            match request {
                [only] => assembly.commit(EncodedActivity::from(only), reservation).await,
                all => assembly.commit_all(encoded(all), reservation).await,
            }
        };
        let answer = tokio::time::timeout(patience, committed).await;
        if answer == Ok(Ok(())) && !self.world.strikes(Fault::AnswerLost) {
            self.hears("accepted");
            self.journal.note(request, |entry| entry.accepted = true);
            return Answer::Accepted;
        }
        // A batch may be full in part.
        if answer == Ok(Err(NotSynced::Full)) && activities == 1 {
            self.hears("full");
            self.journal.note(request, |entry| entry.refused += 1);
            return Answer::Full;
        }
        self.hears("unclear");
        Answer::Unclear
    }

    fn hears(&self, answer: &'static str) {
        self.world.tell(&Event::Hears { client: self.number, answer });
    }
}

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::thread::CapabilitySet;

use super::{super::Answer, *};
use crate::{
    flows::{Sureness, client, server},
    model::{Counters, Flow},
    privileges::Apart,
};

/// Reports that wait, and the side that answers.
struct Fixture {
    translations: Translations,
    questions: Receiver<Question>,
    answers: SyncSender<Answer>,
    ends: Ends,
}

impl Fixture {
    fn new() -> Self {
        let (asking, questions) = sync_channel(8);
        let (answers, answered) = sync_channel(8);
        Self {
            translations: Translations::new(Translator {
                questions: asking,
                answers: answered,
                apart: Apart {
                    tid: 0,
                    keeps: CapabilitySet::empty(),
                },
            }),
            questions,
            answers,
            ends: Ends::new(100),
        }
    }

    fn released(&mut self) -> Vec<FlowReport> {
        let mut events = Vec::new();
        self.translations.release(&self.ends, &mut events);
        reports(events)
    }

    fn answer(&mut self, tracked: Option<Tracked>) {
        let question = self.questions.try_recv().expect("it was asked");
        self.answers.send((question.key, tracked)).unwrap();
    }
}

fn reports(events: Vec<FlowEvent>) -> Vec<FlowReport> {
    let flows = events.into_iter().filter_map(|event| match event {
        FlowEvent::Flow(report) => Some(*report),
        FlowEvent::Lookup(_) => None,
    });
    flows.collect()
}

fn report(flow: &Flow, event: Event) -> Box<FlowReport> {
    Box::new(FlowReport {
        event,
        flow: flow.clone(),
        interval: Counters {
            packets_sent: 3,
            ..Counters::default()
        },
        dropped: None,
        since: Duration::ZERO,
        peer: None,
        nat: None,
    })
}

fn datagram() -> Flow {
    let mut flow = client();
    flow.tcp = None;
    flow.tuple.transport = Transport::UDP;
    flow
}

fn behind(flow: &Flow) -> Tuple {
    Tuple {
        remote: "10.1.0.9".parse().unwrap(),
        remote_port: 8080,
        ..flow.tuple
    }
}

#[test]
fn a_report_waits_for_its_answer_and_what_is_behind_it_waits_too() {
    let mut all = Fixture::new();
    let (flow, mut ping) = (datagram(), datagram());
    ping.tuple.transport = Transport::ICMP;
    all.translations.push(report(&flow, Event::Start));
    all.translations.push(report(&ping, Event::Start));
    assert!(all.released().is_empty());
    assert_eq!(all.translations.units().packets, 6);
    all.answer(Some(Tracked::As(behind(&flow))));
    let released = all.released();
    let nat: Vec<_> = released.iter().map(|report| report.nat).collect();
    assert_eq!(nat, [Some(behind(&flow)), None]);
    assert_eq!(all.translations.units().packets, 0);
    assert!(all.questions.try_recv().is_err(), "ICMP is not asked for");
}

#[test]
fn a_connection_is_asked_for_once() {
    let mut all = Fixture::new();
    let flow = client();
    all.translations.push(report(&flow, Event::Start));
    all.answer(Some(Tracked::As(behind(&flow))));
    assert_eq!(all.released().len(), 1);
    for event in [Event::Update, Event::End] {
        all.translations.push(report(&flow, event));
        assert_eq!(all.released()[0].nat, Some(behind(&flow)));
    }
    assert!(all.questions.try_recv().is_err());
    assert_eq!(all.translations.known.len(), 0, "it has ended");
}

#[test]
fn an_entry_that_ended_before_its_datagrams_is_remembered() {
    let mut all = Fixture::new();
    let flow = datagram();
    all.translations.push(report(&flow, Event::Start));
    all.answer(Some(Tracked::As(behind(&flow))));
    assert_eq!(all.released().len(), 1);
    all.translations.push(report(&flow, Event::Update));
    all.answer(Some(Tracked::Absent));
    assert_eq!(all.released()[0].nat, Some(behind(&flow)));
    all.translations.push(report(&flow, Event::Update));
    all.answer(Some(Tracked::AsItIs));
    assert_eq!(all.released()[0].nat, None, "it is another entry now");
    let counts = all.translations.counts();
    assert_eq!(
        (counts.translated, counts.absent, counts.untranslated),
        (1, 1, 1)
    );
}

#[test]
fn the_other_end_of_translated_datagrams_is_found() {
    let mut all = Fixture::new();
    let (flow, mut other) = (datagram(), server());
    other.tcp = None;
    other.tuple = behind(&flow).turned();
    all.ends.enter(&other);
    all.translations.push(report(&flow, Event::Start));
    all.answer(Some(Tracked::As(behind(&flow))));
    let peer = all.released()[0].peer.unwrap();
    assert_eq!(
        (peer.cgroup, peer.sureness),
        (other.cgroup, Sureness::Likely)
    );
}

#[test]
fn an_attempt_to_connect_is_asked_for_once_it_shows_its_port() {
    let mut all = Fixture::new();
    let mut flow = client();
    let port = std::mem::take(&mut flow.tuple.local_port);
    all.translations.push(report(&flow, Event::Start));
    assert_eq!(all.released().len(), 1);
    flow.tuple.local_port = port;
    all.translations.push(report(&flow, Event::End));
    all.answer(Some(Tracked::As(behind(&flow))));
    assert_eq!(all.released()[0].nat, Some(behind(&flow)));
}

#[test]
fn nobody_waits_for_ever() {
    let mut all = Fixture::new();
    all.translations.push(report(&client(), Event::Start));
    let mut events = Vec::new();
    all.translations.finish(&all.ends, &mut events);
    assert_eq!(reports(events)[0].nat, None);
    assert_eq!(all.translations.counts().late, 1);
    // What comes after all is for nobody.
    all.answer(Some(Tracked::Absent));
    assert!(all.released().is_empty());
    assert_eq!(all.translations.counts().absent, 0);
}

#[test]
fn without_room_and_without_the_thread_reports_go_on() {
    let mut all = Fixture::new();
    for id in 0..9 {
        let flow = Flow { id, ..datagram() };
        all.translations.push(report(&flow, Event::Start));
    }
    assert_eq!(all.translations.counts().over_budget, 1);
    let Fixture {
        mut translations,
        ends,
        questions,
        answers,
    } = all;
    drop((questions, answers));
    let mut events = Vec::new();
    translations.release(&ends, &mut events);
    assert_eq!(events.len(), 9);
    assert_eq!(translations.counts().failed, 8);
    translations.push(report(&client(), Event::Start));
    translations.release(&ends, &mut events);
    assert_eq!(events.len(), 10);
}

#[test]
fn so_many_are_asked_in_a_second_and_no_more() {
    let start = Instant::now();
    let mut budget = Budget::new(2);
    let take: Vec<bool> = [0, 1, 999, 1000]
        .iter()
        .map(|at| budget.take(start + Duration::from_millis(*at)))
        .collect();
    assert_eq!(take, [true, true, false, true]);
}

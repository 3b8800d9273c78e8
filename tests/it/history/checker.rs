//! Could these calls, done one after the other, have had these outcomes? (Linearisability, Herlihy and Wing 1990.)
//!
//! A search after Wing and Gong, with two optimisations by Lowe: a call takes effect as late as it can, just
//! before an answer that needs it; and of several ways to the same state only one is followed. All ways are
//! followed side by side, so nothing is searched twice: the time is linear in the length of the history, and
//! a history that cannot be explained is noticed at the first answer that nothing explains.
//!
//! A call that was never answered may take effect at any time after its start (up to [`LATEST`]), or never.
//! It remains possible for so long that the set of ways must be kept small: of two ways to the same state,
//! the one that has used fewer unanswered calls makes the other one superfluous.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// The specification that a history is checked against: the same object with one caller at a time.
pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    /// A call and its outcome in one.
    type Deed: PartialEq;

    fn initial(&self) -> Self::State;

    /// The state afterwards. `None` if the call cannot have this outcome in this state.
    fn after(&self, state: &Self::State, deed: &Self::Deed) -> Option<Self::State>;

    /// Does the call change nothing, in every state?
    fn is_look(&self, deed: &Self::Deed) -> bool;

    /// Can this call, if it was never answered, no longer change anything, whatever comes after this state?
    fn is_spent(&self, state: &Self::State, deed: &Self::Deed) -> bool;
}

/// One call as its caller saw it. Times are those of one monotonic clock.
#[derive(Clone, Debug)]
pub struct Call<D> {
    pub deed: D,
    pub started: Duration,
    /// `None`: it is unknown whether the call was done, and if so, when; see [`LATEST`].
    pub answered: Option<Duration>,
    /// The instance that was asked, for messages.
    pub place: &'static str,
}

/// Why a history did not pass.
#[derive(Debug)]
pub enum Failure<S> {
    /// Nothing explains the outcome of this call in any of the states that were possible before its answer.
    Unexplained { call: usize, states: Vec<S> },
    /// More ways are possible than can be followed: the history is neither shown to be wrong nor shown to be
    /// right.
    Undecided { call: usize },
}

/// How long after its start an unanswered call may still be done: far longer than all deadlines of the server together.
const LATEST: Duration = Duration::from_secs(60);

/// The most ways that are followed side by side.
const MOST_WAYS: usize = 20_000;

/// Looks for an explanation of the whole history.
///
/// # Errors
/// [`Failure`], with the index of the call at which the search ended.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Deed>]) -> Result<(), Failure<M::State>> {
    let mut search = Search {
        model,
        calls,
        open: Vec::new(),
        lost: BTreeMap::new(),
    };
    let mut ways = Ways::default();
    ways.add(Way {
        state: model.initial(),
        done: Vec::new(),
        used: Vec::new(),
    });
    for (_, moment, call) in moments(calls) {
        match moment {
            Moment::Start => search.start(call),
            Moment::Answer => {
                let next = search.answer(&ways, call).ok_or(Failure::Undecided { call })?;
                if next.count == 0 {
                    let states = ways.iter().map(|way| way.state).collect();
                    return Err(Failure::Unexplained { call, states });
                }
                search.open.retain(|open| *open != call);
                ways = next;
            }
            Moment::TooLate => ways = search.give_up(&ways, call),
        }
    }
    Ok(())
}

/// At equal times the start comes first: then the two calls may have overlapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Start,
    Answer,
    /// An unanswered call is too old to take effect.
    TooLate,
}

fn moments<D>(calls: &[Call<D>]) -> Vec<(Duration, Moment, usize)> {
    let both = calls.iter().enumerate().flat_map(|(n, call)| {
        let end = match call.answered {
            Some(answered) => (answered, Moment::Answer, n),
            None => (call.started + LATEST, Moment::TooLate, n),
        };
        [(call.started, Moment::Start, n), end]
    });
    let mut moments: Vec<_> = both.collect();
    moments.sort_unstable();
    moments
}

/// One way in which everything up to now may have been done.
#[derive(Clone)]
struct Way<S> {
    state: S,
    /// Calls already done here that will be answered later, in order of their index.
    done: Vec<usize>,
    /// Unanswered calls that were done in this way, except those that are spent.
    used: Used,
}

/// Kinds of unanswered calls in order, and how many of each; never none.
type Used = Vec<(usize, usize)>;

/// All ways that differ in what is still possible after them.
struct Ways<S> {
    by_state: HashMap<(S, Vec<usize>), Vec<Used>>,
    count: usize,
}

impl<S> Default for Ways<S> {
    fn default() -> Self {
        Self {
            by_state: HashMap::new(),
            count: 0,
        }
    }
}

impl<S: Clone + Eq + Hash> Ways<S> {
    /// Adds a way. Returns whether no other way makes it superfluous.
    fn add(&mut self, way: Way<S>) -> bool {
        let kept = self.by_state.entry((way.state, way.done)).or_default();
        if kept.iter().any(|used| is_part_of(used, &way.used)) {
            return false;
        }
        let before = kept.len();
        kept.retain(|used| !is_part_of(&way.used, used));
        kept.push(way.used);
        self.count = self.count + kept.len() - before;
        true
    }

    fn iter(&self) -> impl Iterator<Item = Way<S>> {
        self.by_state.iter().flat_map(|((state, done), all)| {
            all.iter().map(|used| Way {
                state: state.clone(),
                done: done.clone(),
                used: used.clone(),
            })
        })
    }
}

/// Does the first way use nothing that the second does not use?
fn is_part_of(part: &Used, whole: &Used) -> bool {
    let mut whole = whole.iter();
    part.iter()
        .all(|(kind, count)| whole.any(|(other, most)| other == kind && count <= most))
}

fn with(sorted: &[usize], item: usize) -> Vec<usize> {
    let mut more = sorted.to_vec();
    more.insert(sorted.partition_point(|other| *other < item), item);
    more
}

fn with_one_more(used: &Used, kind: usize) -> Used {
    let mut more = used.clone();
    match used.binary_search_by_key(&kind, |(other, _)| *other) {
        Ok(at) => more[at].1 += 1,
        Err(at) => more.insert(at, (kind, 1)),
    }
    more
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Deed>],
    /// Started, and answered later.
    open: Vec<usize>,
    /// Started and never answered. The index of the first call of a kind identifies the kind. Of several
    /// equal calls, the oldest is used first: they are interchangeable, and the oldest is the first that
    /// becomes too old.
    lost: BTreeMap<usize, usize>,
}

impl<M: Model> Search<'_, M> {
    fn start(&mut self, call: usize) {
        if self.calls[call].answered.is_some() {
            self.open.push(call);
        } else {
            *self.lost.entry(self.kind(call)).or_default() += 1;
        }
    }

    fn kind(&self, call: usize) -> usize {
        let deed = |call: usize| &self.calls[call].deed;
        let mut kinds = self.lost.keys().copied();
        kinds.find(|kind| deed(*kind) == deed(call)).unwrap_or(call)
    }

    /// The oldest call of its kind is too old, done or not.
    fn give_up(&mut self, before: &Ways<M::State>, call: usize) -> Ways<M::State> {
        let kind = self.kind(call);
        self.lost.entry(kind).and_modify(|count| *count -= 1);
        self.lost.retain(|_, count| *count > 0);
        let mut after = Ways::default();
        for mut way in before.iter() {
            for (used, count) in &mut way.used {
                *count -= usize::from(*used == kind);
            }
            way.used.retain(|(_, count)| *count > 0);
            after.add(way);
        }
        after
    }

    /// All ways in which everything up to this answer may have been done. `None`: too many.
    fn answer(&self, before: &Ways<M::State>, call: usize) -> Option<Ways<M::State>> {
        let (mut after, mut seen) = (Ways::default(), Ways::default());
        let mut unexplored = Vec::new();
        for mut way in before.iter() {
            match way.done.iter().position(|done| *done == call) {
                Some(at) => {
                    way.done.remove(at);
                    after.add(way);
                }
                None => unexplored.push(way),
            }
        }
        while let Some(way) = unexplored.pop() {
            if after.count + seen.count > MOST_WAYS {
                return None;
            }
            if let Some(state) = self.model.after(&way.state, &self.calls[call].deed) {
                let (done, used) = (way.done.clone(), way.used.clone());
                after.add(self.tidied(Way { state, done, used }));
                if self.model.is_look(&self.calls[call].deed) {
                    // A call that could be done before this one can also be done after it, and that is tried
                    // later.
                    continue;
                }
            }
            let steps = self.steps(&way, call).filter(|step| seen.add(step.clone()));
            unexplored.extend(steps.collect::<Vec<_>>());
        }
        Some(after)
    }

    /// The ways to do one more of the running calls.
    fn steps(&self, way: &Way<M::State>, answered: usize) -> impl Iterator<Item = Way<M::State>> {
        let after = |call: usize| self.model.after(&way.state, &self.calls[call].deed);
        let open = self.open.iter().copied();
        let open = open.filter(move |call| *call != answered && !way.done.contains(call));
        let of_open = open.filter_map(move |call| {
            Some(Way {
                state: after(call)?,
                done: with(&way.done, call),
                used: way.used.clone(),
            })
        });
        let of_lost = self.lost.iter().filter_map(move |(kind, count)| {
            // A call that changes nothing is equivalent to one that never happened.
            let state = after(*kind).filter(|state| *state != way.state)?;
            let is_left = !way.used.contains(&(*kind, *count));
            is_left.then(|| Way {
                state,
                done: way.done.clone(),
                used: with_one_more(&way.used, *kind),
            })
        });
        of_open.chain(of_lost).map(|way| self.tidied(way))
    }

    /// It no longer matters whether a spent call was done.
    fn tidied(&self, mut way: Way<M::State>) -> Way<M::State> {
        let Way { state, used, .. } = &mut way;
        used.retain(|(kind, _)| !self.model.is_spent(state, &self.calls[*kind].deed));
        way
    }
}

//! Could these calls, done one after the other, have had these outcomes? (Linearisability, Herlihy and Wing 1990.)
//!
//! A search after Wing and Gong, with Lowe's two economies: a call takes effect as late as it can, just before somebody's answer
//! needs it, and no two ways that lead to the same are followed twice. All ways are followed side by side, so nothing is ever
//! searched again: the time is linear in the length of the history, and a history that cannot be explained is noticed at the
//! first answer that nothing explains.
//!
//! A call that was never answered may take effect at any time after its start ([`LATEST`]), or never. It stays possible for so
//! long that what is possible must be kept small: of two ways to the same state, the one that has used up less of the unanswered
//! is as good as the other, and the other is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// What is checked against: the same thing with one caller.
pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    /// A call and its outcome in one.
    type Deed: PartialEq;

    fn initial(&self) -> Self::State;

    /// The state afterwards; `None`: in this one it could not have been done with this outcome.
    fn after(&self, state: &Self::State, deed: &Self::Deed) -> Option<Self::State>;

    /// Does it change nothing, in whatever state it is done?
    fn is_look(&self, deed: &Self::Deed) -> bool;

    /// Will an unanswered deed never again change anything, whatever comes after this state?
    fn is_spent(&self, state: &Self::State, deed: &Self::Deed) -> bool;
}

/// One call as its caller saw it; times are those of one monotonic clock.
#[derive(Clone, Debug)]
pub struct Call<D> {
    pub deed: D,
    pub started: Duration,
    /// `None`: nobody knows whether it was done, and if so, when; see [`LATEST`].
    pub answered: Option<Duration>,
    /// Who was asked, for people.
    pub place: &'static str,
}

/// Why a history did not pass.
#[derive(Debug)]
pub enum Failure<S> {
    /// Nothing explains the outcome of this call in any of the states that were possible before its answer.
    Unexplained { call: usize, states: Vec<S> },
    /// More is possible than can be followed: not seen to be wrong, and not seen to be right.
    Undecided { call: usize },
}

/// How long after its start an unanswered call may still be done: far longer than all deadlines of the server together.
const LATEST: Duration = Duration::from_secs(60);

/// More ways than this side by side are not followed.
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

/// At the same time the start comes first: then two calls may have met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Start,
    Answer,
    /// What was not answered can no longer happen.
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
    /// Unanswered calls that were done here; but those that are spent.
    used: Used,
}

/// Kinds of unanswered calls in order, and how many of each; never none.
type Used = Vec<(usize, usize)>;

/// All ways that differ in what they leave possible.
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
    /// Returns whether it is one that no other makes superfluous.
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

/// Does one use nothing that the other does not?
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
    /// Started and never answered: a kind goes by the index of its first call. Of several that are the same, the oldest is used
    /// first: they can be exchanged, and it is the first that comes too late.
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

    /// The oldest of its kind is too late, done or not.
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
                    // Whatever might be done before it may as well be done after it, and that is tried later.
                    continue;
                }
            }
            let steps = self.steps(&way, call).filter(|step| seen.add(step.clone()));
            unexplored.extend(steps.collect::<Vec<_>>());
        }
        Some(after)
    }

    /// The ways to do one more of the calls under way.
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
            // One that changes nothing is as good as one that never happened.
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

    /// It makes no difference any more whether a spent call was done.
    fn tidied(&self, mut way: Way<M::State>) -> Way<M::State> {
        let Way { state, used, .. } = &mut way;
        used.retain(|(kind, _)| !self.model.is_spent(state, &self.calls[*kind].deed));
        way
    }
}

//! What a stored router has that is not as wanted, and how it is carried over.

use std::fmt;

use crate::arm::ArmSpec;
use crate::event::Event;
use crate::router::Router;
use crate::snapshot::SnapshotError;
use crate::units::ArmId;

/// How a stored router differs from the one a configuration asks for.
///
/// ```
/// # use plimsoll::{ArmId, ArmSpec, CostPredictor, Difference, Random, Router};
/// # let router = |arms: Vec<ArmSpec>| {
/// #     let policy = Box::new(Random::new(arms.len())?);
/// #     let cost = CostPredictor::fit(&arms, [])?;
/// #     Ok::<_, Box<dyn std::error::Error>>(Router::with_policy(arms, None, cost, policy)?)
/// # };
/// let small = ArmSpec::new(ArmId::new("small")?);
/// let large = ArmSpec::new(ArmId::new("large")?);
/// let mut stored = router(vec![small.clone(), large])?;
/// let wanted = router(vec![small])?;
///
/// let difference = Difference::between(&stored, &wanted);
/// assert_eq!(difference.to_string(), "arm `large` is stored and not wanted");
/// for event in difference.events()? {
///     stored.apply(&event)?;
/// }
/// assert!(stored.arms()[1].archived);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The policies' names, stored and wanted; `None`: they are the same.
    pub policy: Option<(String, String)>,
    /// Features of a context, stored and wanted; `None`: they are the same.
    pub dimensions: Option<(Option<usize>, Option<usize>)>,
    /// Arms wanted that are not stored.
    pub added: Vec<ArmSpec>,
    /// Arms stored, in service, that are not wanted.
    pub removed: Vec<ArmId>,
    /// Arms that are in both and changed.
    pub changed: Vec<ArmChange>,
}

/// One arm that is stored otherwise than wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmChange {
    /// As stored.
    pub stored: ArmSpec,
    /// As wanted.
    pub wanted: ArmSpec,
}

impl Difference {
    /// What has to change for `stored` to be as `wanted`. The arms' order does not matter.
    #[must_use]
    pub fn between(stored: &Router, wanted: &Router) -> Self {
        let (old, new) = (stored.policy(), wanted.policy());
        let differ = |a: &str, b: &str| (a != b).then(|| (a.to_owned(), b.to_owned()));
        let (d, e) = (old.dimensions(), new.dimensions());
        Self {
            policy: differ(old.name(), new.name()),
            dimensions: (d != e).then_some((d, e)),
            ..Self::between_arms(stored.arms(), wanted.arms())
        }
    }

    fn between_arms(stored: &[ArmSpec], wanted: &[ArmSpec]) -> Self {
        let find = |arms: &[ArmSpec], id: &ArmId| arms.iter().find(|arm| arm.id == *id).cloned();
        let added = wanted
            .iter()
            .filter(|arm| find(stored, &arm.id).is_none())
            .cloned();
        let removed = stored
            .iter()
            .filter(|arm| !arm.archived && find(wanted, &arm.id).is_none());
        let changed = wanted.iter().filter_map(|arm| {
            let stored = find(stored, &arm.id).filter(|stored| stored != arm)?;
            Some(ArmChange {
                stored,
                wanted: arm.clone(),
            })
        });
        Self {
            added: added.collect(),
            removed: removed.map(|arm| arm.id.clone()).collect(),
            changed: changed.collect(),
            ..Self::default()
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The events that carry the stored state over: arms no longer wanted are archived and keep
    /// what they learned, changed arms change. Arms to add are left to the caller, who knows what
    /// to believe of them.
    ///
    /// # Errors
    /// [`SnapshotError::Mismatch`] when the policy or its features differ: no event changes them.
    pub fn events(&self) -> Result<Vec<Event>, SnapshotError> {
        if self.policy.is_some() || self.dimensions.is_some() {
            return Err(SnapshotError::Mismatch {
                difference: Box::new(self.clone()),
            });
        }
        let archive = |arm: &ArmId| Event::ArmArchived {
            arm: arm.clone(),
            archived: true,
        };
        let change = |change: &ArmChange| Event::ArmChanged {
            spec: change.wanted.clone(),
        };
        let removed = self.removed.iter().map(archive);
        Ok(removed.chain(self.changed.iter().map(change)).collect())
    }
}

impl Router {
    /// Refuses a stored router that is not as `wanted`.
    ///
    /// # Errors
    /// [`SnapshotError::Mismatch`] with everything that differs.
    pub fn expect_like(&self, wanted: &Self) -> Result<(), SnapshotError> {
        let difference = Difference::between(self, wanted);
        if difference.is_empty() {
            Ok(())
        } else {
            Err(SnapshotError::Mismatch {
                difference: Box::new(difference),
            })
        }
    }
}

impl ArmChange {
    /// Names of the fields that differ.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        let (a, b) = (&self.stored, &self.wanted);
        [
            ("input", a.input != b.input),
            ("output", a.output != b.output),
            ("cached_input", a.cached_input != b.cached_input),
            (
                "context_window_tokens",
                a.context_window_tokens != b.context_window_tokens,
            ),
            ("capabilities", a.capabilities != b.capabilities),
            ("archived", a.archived != b.archived),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = |d: &Option<usize>| d.map_or("any".to_owned(), |d| d.to_string());
        let mut said = Vec::new();
        if let Some((stored, wanted)) = &self.policy {
            said.push(format!("policy `{stored}` is stored, `{wanted}` wanted"));
        }
        if let Some((stored, wanted)) = &self.dimensions {
            let (stored, wanted) = (features(stored), features(wanted));
            said.push(format!("{stored} features are stored, {wanted} wanted"));
        }
        for arm in &self.removed {
            said.push(format!("arm `{arm}` is stored and not wanted"));
        }
        for arm in &self.added {
            said.push(format!("arm `{}` is wanted and not stored", arm.id));
        }
        for change in &self.changed {
            let fields = change.fields().join(", ");
            said.push(format!("arm `{}` differs in {fields}", change.wanted.id));
        }
        if said.is_empty() {
            said.push("nothing differs".to_owned());
        }
        f.write_str(&said.join("; "))
    }
}

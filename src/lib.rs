//! gatelint reads network configs, lowers each to one normalized model, and proves whether the flows that a policy
//! requires pass.

pub mod config;
pub mod decide;
pub mod finding;
pub mod model;
pub mod policy;
pub mod report;
pub mod source;
pub mod trace;

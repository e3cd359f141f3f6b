//! `publisher accounts`.
/// Accounts.
#[derive(Debug, clap::Args)]
pub struct Accounts {}
/// Carries it out.
pub async fn run(
    _: Accounts,
    _: &crate::config::Config,
) -> Result<crate::exit::Exit, crate::exit::Failed> {
    unimplemented!()
}

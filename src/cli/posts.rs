//! `publisher posts`.
/// Posts.
#[derive(Debug, clap::Args)]
pub struct Posts {}
/// Carries it out.
pub async fn run(
    _: Posts,
    _: &crate::config::Config,
) -> Result<crate::exit::Exit, crate::exit::Failed> {
    unimplemented!()
}

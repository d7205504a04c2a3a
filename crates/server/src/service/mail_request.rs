//! The part of a request's backend that is about mails, and about sign-ins that somebody has to know of.

use rollcall_core::backend::Answer;
use rollcall_core::{Error, MailBackend, Notice, ReportLink, ResetLink, SessionId};

use super::request::RequestBackend;

impl RequestBackend {
    /// Whether the caller has something to be told on My Sessions.
    pub async fn has_notices(&self) -> Result<bool, Error> {
        match self.signed_in() {
            Ok(caller) => self.service.has_notices(caller).await,
            Err(_) => Ok(false),
        }
    }

    // Whoever they are; but two credentials, or a database that is away, are refused as everywhere.
    fn by_anyone(&self) -> Result<(), Error> {
        self.refused().map_or(Ok(()), Err)
    }
}

impl MailBackend for RequestBackend {
    fn sends_mail(&self) -> bool {
        self.service.sends_mail()
    }

    fn ask_password_reset(&self, email: String) -> Answer<'_, ()> {
        self.answer(async move {
            self.by_anyone()?;
            self.service.ask_password_reset(&self.facts, &email).await
        })
    }

    fn find_reset_link(&self, link: String) -> Answer<'_, Option<ResetLink>> {
        self.answer(async move { self.service.find_reset_link(&link).await })
    }

    fn reset_password_by_link(&self, link: String, new_password: String) -> Answer<'_, ()> {
        self.answer(async move {
            self.by_anyone()?;
            self.service
                .reset_password_by_link(&self.facts, &link, &new_password)
                .await
        })
    }

    fn find_report_link(&self, link: String) -> Answer<'_, Option<ReportLink>> {
        self.answer(async move { self.service.find_report_link(&link).await })
    }

    fn report_sign_in(&self, link: String, all: bool) -> Answer<'_, ()> {
        self.answer(async move {
            self.by_anyone()?;
            self.service.report_sign_in(&self.facts, &link, all).await
        })
    }

    fn list_notices(&self) -> Answer<'_, Vec<Notice>> {
        self.answer(async { self.service.list_notices(self.signed_in()?).await })
    }

    fn confirm_notice(&self, session: SessionId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .confirm_notice(caller, &self.facts, session)
                .await
        })
    }

    fn disown_notice(&self, session: SessionId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .disown_notice(caller, &self.facts, session)
                .await
        })
    }
}

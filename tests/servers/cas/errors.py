# SPDX-License-Identifier: ISC
"""What a request is refused with: the gateway's codes and those of the service, with the HTTP status of each."""

STATUS = {
    "InvalidAccessKeyId.NotFound": 404, "InvalidAction.NotFound": 404, "InvalidApi.NotFound": 404, "InvalidProduct.NotFound": 404,
    "InvalidProtocol.NeedSsl": 404, "Forbidden": 403, "Forbidden.RAM": 403, "Forbidden.RiskControl": 403, "Forbidden.UserVerification": 403,
    "NoPermission": 403, "UnsupportedHTTPMethod": 405, "ServiceUnavailable": 503, "InternalError": 500, "NotFoundPackage": 404,
    "NotRemainCount": 404, "CreateCertificateRequestFailed": 403, "NotFoundOrder": 404, "OrderStateError": 403, "DeleteFail": 403,
}
# Sources disagree about these: option "other_statuses" plays the second side.
OTHER_STATUS = {"SignatureDoesNotMatch": 403, "InvalidAccessKeyId.NotFound": 400, "UnsupportedHTTPMethod": 400, "Throttling.User": 429}


class Refusal(Exception):
    """An answer with a Code. status: None for that of the tables above, else 400. more: further members; headers: of the answer."""

    def __init__(self, code, message, status=None, more=(), headers=()):
        super().__init__(message)
        self.code, self.message, self.fixed, self.more, self.headers = code, message, status, dict(more), dict(headers)

    def status(self, other=False):
        return self.fixed or (other and OTHER_STATUS.get(self.code)) or STATUS.get(self.code, 400)

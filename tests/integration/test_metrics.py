# SPDX-License-Identifier: ISC
"""dovactl metrics, read by somebody else's parser."""
import calendar
import time

import pytest
from prometheus_client.openmetrics import parser

from lab import Refused
from test_deploy import site, use_service  # noqa: F401


def figures(lab):
    """{family: {labels: value}}; the parser insists on what OpenMetrics insists on."""
    text = lab.ctl.run("metrics", json_out=False).stdout
    assert text.endswith("# EOF\n")
    return {f.name: {tuple(sorted(s.labels.items())): s.value for s in f.samples} for f in parser.text_string_to_metric_families(text)}


def seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def test_metrics(site):  # noqa: F811
    """States, dates and outcomes are those of show and history."""
    shown = site.ctl.show("site")
    now = figures(site)
    (build,) = now["dovad_build"]
    assert build == (("version", site.ctl("version")["version"]),)
    assert now["dovad_certificates"][(("state", "waiting"),)] == 1 and sum(now["dovad_certificates"].values()) == 1
    one = (("cert", "site"),)
    assert now["dovad_certificate_state"] == {(("cert", "site"), ("state", "waiting")): 1}
    assert now["dovad_certificate_not_after_timestamp_seconds"] == {one: seconds(shown["not_after"])}
    assert now["dovad_certificate_not_before_timestamp_seconds"] == {one: seconds(shown["not_before"])}
    assert now["dovad_certificate_next_step_timestamp_seconds"] == {one: seconds(shown["next_at"])}
    assert now["dovad_certificate_consecutive_failures"] == {one: 0}
    assert list(now["dovad_deploy_stale"].values()) == [0]
    assert now["dovad_outcomes"][(("outcome", "done"),)] == 1 and now["dovad_outcomes"][(("outcome", "rolled-back"),)] == 0
    assert now["dovad_ca_not_before_timestamp_seconds"] == {(("ca", "pebble"),): 0}
    # A reload that breaks the service is told as what it was.
    use_service(site, command=["/bin/false"])
    with pytest.raises(Refused):
        site.ctl("renew", "site", "--force", "--wait", timeout=120)
    after = figures(site)
    assert after["dovad_outcomes"][(("outcome", "rolled-back"),)] == 1 and after["dovad_outcomes"][(("outcome", "failed"),)] == 1
    assert after["dovad_certificates"][(("state", "failed"),)] == 1
    assert after["dovad_certificate_consecutive_failures"] == {one: 1}

from winnow_test import pool
from conftest import *
def test_x(make_stage, secured, tmp_path):
    stage = make_stage()
    def go(listener, **properties):
        args=[]
        for k,v in properties.items(): args += ["-X", f"{k.replace('_','.')}={v}"]
        import time
        t=time.time()
        r = pool.run("worker", *args, settings={**stage.settings, "brokers": secured.brokers(listener)}, timeout_s=30) if listener!="ok" else None
        print(listener, properties, f"{time.time()-t:.1f}"); print(r.exit_code, r.error)
    ca=secured.authority.path
    pass
    go("TLS", security_protocol="SSL", ssl_ca_location="/nonexistent")
    go("STRANGER", security_protocol="SSL", ssl_ca_location=ca)
    go("TLS")
    go("MUTUAL", security_protocol="SSL", ssl_ca_location=ca)
    (tmp_path/"p").write_text("wrong")
    go("LOGIN", security_protocol="SASL_SSL", ssl_ca_location=ca, sasl_mechanism="PLAIN", sasl_username="winnow", sasl_password_file=tmp_path/"p")
    go("LOGIN", security_protocol="SASL_SSL", ssl_ca_location=ca, sasl_mechanism="SCRAM-SHA-512", sasl_username="winnow", sasl_password_file=tmp_path/"p")
    go("LOGIN", security_protocol="SASL_SSL", ssl_ca_location=ca, sasl_mechanism="GSSAPI", sasl_username="winnow", sasl_password_file=tmp_path/"p")
    go("LOGIN", security_protocol="SSL", ssl_ca_location=ca)
    assert 0

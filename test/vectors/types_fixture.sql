-- made by test/vectors/make_types_fixture.py
\set log_key 'log.example+74277241+Aa9lMeDMr2j0LMX+3t5khupCNxvdObfsq3pp53aP2vGv'
\set next_key 'log.example+1d2b3945+AYkqZLeNhrCAUAYyZKqrXCjHHWkjx2ua7/myWZkXYKjU'
\set witness_key 'witness.example+09c01dae+AcNgTKaetSEytqz+7liiwPrb4u2Azsf0PNq9fjKfBB7S'
\set log_cosigner_key 'log.example+51c2b8de+BK9lMeDMr2j0LMX+3t5khupCNxvdObfsq3pp53aP2vGv'
CREATE TEMP TABLE note (name text PRIMARY KEY, cp provenance.checkpoint NOT NULL);
INSERT INTO note VALUES
('0', 'log.example
0
47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

— log.example dCdyQd+6YsgN56LsDXJvyaMTbvKt9CVm8QhhMFyqeK09iiFnwvxmNQtW8TOHJHkQzzGSbkaU+2v/nXLPGgQTlmtXPAg=
'),
('1', 'log.example
1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=

— log.example dCdyQYV2kn+F+DTRHYusWiftG7QTUKYP23evskSaYQ3tlK7V1sWwsR3rP0Y2/NFlF0BvJwBAjvN2B2bKY25E4poOJQQ=
'),
('2', 'log.example
2
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

— log.example dCdyQZJUM12Ycho3iCA93eHcHhrUGzYqdmtdrYgqTr4alJc1mx+/ChiVCoi0B/ESPP1BHQyNh1A9WInf1Dsz4wPg4Q8=
'),
('3', 'log.example
3
1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=

— log.example dCdyQQkFqWKglTTb1LYpEz6umo2PHpYpzOouffE2hrCWOw9v9ArlglQ2nBIrECBfcV+49gdnF6dMyhoZR1/I7DWSiQ8=
'),
('4', 'log.example
4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

— log.example dCdyQRApUV3XkOw4Yt9ktN9gNQRrueEIJEo9GQaaxwtrn8INVclSXnBHHEt2I/EzMqqTTItVI4NcN7qJGdRBE8zr/wc=
'),
('5', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
('5 next', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example HSs5RRNFI0njOBn1s4Qm7wTxHqUgrcPr9L7eppiVITgWAWpyvigD+OuZ+amAXi3BQIcUzJ4mII/dwIf2+YZ77+gCOQg=
'),
('5 both', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
— log.example HSs5RRNFI0njOBn1s4Qm7wTxHqUgrcPr9L7eppiVITgWAWpyvigD+OuZ+amAXi3BQIcUzJ4mII/dwIf2+YZ77+gCOQg=
'),
('5 witnessed', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— witness.example CcAdrnrHenID4mLptHgdlyTgOGY8Jw+0hZSOytzTLERLmAGy1S1+Vyp+qEGHKhVChv3tyRzWFBmS2d8GWgfP8mv2TQs=
— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
('5 witness alone', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— witness.example CcAdrnrHenID4mLptHgdlyTgOGY8Jw+0hZSOytzTLERLmAGy1S1+Vyp+qEGHKhVChv3tyRzWFBmS2d8GWgfP8mv2TQs=
'),
('5 spoilt', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBp7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
('5 one spoilt', 'log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
— log.example HSs5RRNFI0njOBn0s4Qm7wTxHqUgrcPr9L7eppiVITgWAWpyvigD+OuZ+amAXi3BQIcUzJ4mII/dwIf2+YZ77+gCOQg=
'),
('5 elsewhere', 'other.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQVw0XOhDimbdSvHAupaFfSu98Sq/h8ORAnsrIS4EEIN778ApduqhhlV8WRH/UoBuo0rQcTjff5+bmeqSTu+P7QA=
'),
('5 incarnation', 'log.example/2
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example/2 NkhlwGSCTU7W3ydOn9jebx3IJfOCd2+qUXR5LV3MA5alGeYZdZQlfy2BOm1bq/vuNZin1kjEIA0oBwwSZxGE+fYT4wg=
'),
('5 other root', 'log.example
5
RyQOEBbIENz0gWaJGjhfRkrQKvP5nLNAX6AIJ8ZxU1k=

— log.example dCdyQWLaOqRHd4fYNp2bIBZ6xFtp9U8tJsTzgEbNEazWo6ChL56Wm0KlVB1JQkajT+/XktHRzUuXmkZIEdVqb8QNKgk=
');
CREATE TEMP TABLE inclusion (index bigint, size bigint, p provenance.proof NOT NULL);
INSERT INTO inclusion VALUES
(0, 1, 'c2sp.org/tlog-proof@v1
index 0

log.example
1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=

— log.example dCdyQYV2kn+F+DTRHYusWiftG7QTUKYP23evskSaYQ3tlK7V1sWwsR3rP0Y2/NFlF0BvJwBAjvN2B2bKY25E4poOJQQ=
'),
(0, 2, 'c2sp.org/tlog-proof@v1
index 0
y1o86GLD4yHz999tJpBUnpNqjjdxNarp89afaR9UfVs=

log.example
2
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

— log.example dCdyQZJUM12Ycho3iCA93eHcHhrUGzYqdmtdrYgqTr4alJc1mx+/ChiVCoi0B/ESPP1BHQyNh1A9WInf1Dsz4wPg4Q8=
'),
(1, 2, 'c2sp.org/tlog-proof@v1
index 1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=

log.example
2
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

— log.example dCdyQZJUM12Ycho3iCA93eHcHhrUGzYqdmtdrYgqTr4alJc1mx+/ChiVCoi0B/ESPP1BHQyNh1A9WInf1Dsz4wPg4Q8=
'),
(0, 3, 'c2sp.org/tlog-proof@v1
index 0
y1o86GLD4yHz999tJpBUnpNqjjdxNarp89afaR9UfVs=
qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=

log.example
3
1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=

— log.example dCdyQQkFqWKglTTb1LYpEz6umo2PHpYpzOouffE2hrCWOw9v9ArlglQ2nBIrECBfcV+49gdnF6dMyhoZR1/I7DWSiQ8=
'),
(1, 3, 'c2sp.org/tlog-proof@v1
index 1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=
qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=

log.example
3
1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=

— log.example dCdyQQkFqWKglTTb1LYpEz6umo2PHpYpzOouffE2hrCWOw9v9ArlglQ2nBIrECBfcV+49gdnF6dMyhoZR1/I7DWSiQ8=
'),
(2, 3, 'c2sp.org/tlog-proof@v1
index 2
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

log.example
3
1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=

— log.example dCdyQQkFqWKglTTb1LYpEz6umo2PHpYpzOouffE2hrCWOw9v9ArlglQ2nBIrECBfcV+49gdnF6dMyhoZR1/I7DWSiQ8=
'),
(0, 4, 'c2sp.org/tlog-proof@v1
index 0
y1o86GLD4yHz999tJpBUnpNqjjdxNarp89afaR9UfVs=
T3SUBxyjgqXFBnzEEHepmf13IuBqJqqd53G+kz3BAh0=

log.example
4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

— log.example dCdyQRApUV3XkOw4Yt9ktN9gNQRrueEIJEo9GQaaxwtrn8INVclSXnBHHEt2I/EzMqqTTItVI4NcN7qJGdRBE8zr/wc=
'),
(1, 4, 'c2sp.org/tlog-proof@v1
index 1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=
T3SUBxyjgqXFBnzEEHepmf13IuBqJqqd53G+kz3BAh0=

log.example
4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

— log.example dCdyQRApUV3XkOw4Yt9ktN9gNQRrueEIJEo9GQaaxwtrn8INVclSXnBHHEt2I/EzMqqTTItVI4NcN7qJGdRBE8zr/wc=
'),
(2, 4, 'c2sp.org/tlog-proof@v1
index 2
WL0UluFoSqySAcLmh+565PUclqiw2B7zWDYouT0800U=
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

log.example
4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

— log.example dCdyQRApUV3XkOw4Yt9ktN9gNQRrueEIJEo9GQaaxwtrn8INVclSXnBHHEt2I/EzMqqTTItVI4NcN7qJGdRBE8zr/wc=
'),
(3, 4, 'c2sp.org/tlog-proof@v1
index 3
qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=

log.example
4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

— log.example dCdyQRApUV3XkOw4Yt9ktN9gNQRrueEIJEo9GQaaxwtrn8INVclSXnBHHEt2I/EzMqqTTItVI4NcN7qJGdRBE8zr/wc=
'),
(0, 5, 'c2sp.org/tlog-proof@v1
index 0
y1o86GLD4yHz999tJpBUnpNqjjdxNarp89afaR9UfVs=
T3SUBxyjgqXFBnzEEHepmf13IuBqJqqd53G+kz3BAh0=
gxFfiUeVX6/cKifn9MCFS72Nonuxs+NAXbVxya+Nvho=

log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
(1, 5, 'c2sp.org/tlog-proof@v1
index 1
G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=
T3SUBxyjgqXFBnzEEHepmf13IuBqJqqd53G+kz3BAh0=
gxFfiUeVX6/cKifn9MCFS72Nonuxs+NAXbVxya+Nvho=

log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
(2, 5, 'c2sp.org/tlog-proof@v1
index 2
WL0UluFoSqySAcLmh+565PUclqiw2B7zWDYouT0800U=
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=
gxFfiUeVX6/cKifn9MCFS72Nonuxs+NAXbVxya+Nvho=

log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
(3, 5, 'c2sp.org/tlog-proof@v1
index 3
qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=
gxFfiUeVX6/cKifn9MCFS72Nonuxs+NAXbVxya+Nvho=

log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
'),
(4, 5, 'c2sp.org/tlog-proof@v1
index 4
T2MQhKFXxU9U/Psj/164ZQxLoWDClbsTqYMrEJ1SZ34=

log.example
5
NBUVmC1lDiNSDb1U1/zwr6G3DMOhakEdRk3JwayWwwE=

— log.example dCdyQSiKY5nnbeBo7lDZuFoCt82N+FAFl5j3UYOudHYF39PiP2RDRnwxOlCwVJosQCs30RLqHXtTVvzWPeEUwIRrIgk=
');
CREATE TEMP TABLE consistency (old bigint, new bigint, path provenance.hash[] NOT NULL);
INSERT INTO consistency VALUES
(0, 0, '{}'),
(0, 1, '{}'),
(1, 1, '{}'),
(0, 2, '{}'),
(1, 2, '{cb5a3ce862c3e321f3f7df6d2690549e936a8e377135aae9f3d69f691f547d5b}'),
(2, 2, '{}'),
(0, 3, '{}'),
(1, 3, '{cb5a3ce862c3e321f3f7df6d2690549e936a8e377135aae9f3d69f691f547d5b,ab37ba34d1dfe29015de717a6d5764a8fb029c3a7a0f5b64b93b54351885bf7c}'),
(2, 3, '{ab37ba34d1dfe29015de717a6d5764a8fb029c3a7a0f5b64b93b54351885bf7c}'),
(3, 3, '{}'),
(0, 4, '{}'),
(1, 4, '{cb5a3ce862c3e321f3f7df6d2690549e936a8e377135aae9f3d69f691f547d5b,4f7494071ca382a5c5067cc41077a999fd7722e06a26aa9de771be933dc1021d}'),
(2, 4, '{4f7494071ca382a5c5067cc41077a999fd7722e06a26aa9de771be933dc1021d}'),
(3, 4, '{ab37ba34d1dfe29015de717a6d5764a8fb029c3a7a0f5b64b93b54351885bf7c,58bd1496e1684aac9201c2e687ee7ae4f51c96a8b0d81ef3583628b93d3cd345,fc5f6b88ff8554f75bb2f9e6f39c31b1936d44b69276edf7b1205a955b9761e3}'),
(4, 4, '{}'),
(0, 5, '{}'),
(1, 5, '{cb5a3ce862c3e321f3f7df6d2690549e936a8e377135aae9f3d69f691f547d5b,4f7494071ca382a5c5067cc41077a999fd7722e06a26aa9de771be933dc1021d,83115f8947955fafdc2a27e7f4c0854bbd8da27bb1b3e3405db571c9af8dbe1a}'),
(2, 5, '{4f7494071ca382a5c5067cc41077a999fd7722e06a26aa9de771be933dc1021d,83115f8947955fafdc2a27e7f4c0854bbd8da27bb1b3e3405db571c9af8dbe1a}'),
(3, 5, '{ab37ba34d1dfe29015de717a6d5764a8fb029c3a7a0f5b64b93b54351885bf7c,58bd1496e1684aac9201c2e687ee7ae4f51c96a8b0d81ef3583628b93d3cd345,fc5f6b88ff8554f75bb2f9e6f39c31b1936d44b69276edf7b1205a955b9761e3,83115f8947955fafdc2a27e7f4c0854bbd8da27bb1b3e3405db571c9af8dbe1a}'),
(4, 5, '{83115f8947955fafdc2a27e7f4c0854bbd8da27bb1b3e3405db571c9af8dbe1a}'),
(5, 5, '{}');
